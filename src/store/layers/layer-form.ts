/**
 * The forms a layer's tar goes out in: gzip, zstd, or as it is.
 * Promises: equal tars give equal bytes of a form, on one machine at any time.
 */
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import { Fault } from "#spec/fault.ts";
import { mediaType } from "#spec/image.ts";
import { besideBlocks } from "#store/tar/blocks.ts";
import { gzipBlocks, sideBySide } from "#store/tar/gzip-blocks.ts";

export type LayerCompression = "gzip" | "zstd" | "uncompressed";

export interface LayerForm {
  readonly compression: LayerCompression;
  /** gzip: 0 to 9, zstd: 1 to 22. @default the compressor's own */
  readonly level?: number | undefined;
}

export const plainGzip: LayerForm = { compression: "gzip" };

type Options = { readonly params: Readonly<Record<number, number>> };
type Done = (error: Error | null, result: Buffer) => void;
const zstd = promisify(zstdCompress as unknown as (bytes: Uint8Array, o: Options, done: Done) => void);
/** zstd(1). */
const zstdLevel = 3;

/** Parts are lent until the next one, those of `plain` may be so. */
export function packLayer(
  plain: AsyncIterable<Uint8Array>,
  { compression, level }: LayerForm,
): AsyncIterable<Uint8Array> {
  if (compression === "uncompressed") return plain;
  if (compression === "gzip") return level === undefined ? gzipBlocks(plain) : sideBySide(plain, level);
  const params = { [constants.ZSTD_c_compressionLevel]: level || zstdLevel };
  return besideBlocks(plain, (block) => zstd(block, { params }));
}

const types: Readonly<Record<LayerCompression, { readonly oci: string; readonly docker: string }>> = {
  gzip: { oci: mediaType.ociLayerGzip, docker: mediaType.dockerLayerGzip },
  zstd: { oci: mediaType.ociLayerZstd, docker: mediaType.dockerLayerZstd },
  uncompressed: { oci: mediaType.ociLayer, docker: mediaType.dockerLayer },
};

export function layerType({ compression }: LayerForm, words: "oci" | "docker"): string {
  return types[compression][words];
}

/** Undefined for a type that is no layer's. */
export function formOfType(type: string): LayerForm | undefined {
  const found = Object.entries(types).find(([, { oci, docker }]) => type === oci || type === docker);
  return found === undefined ? undefined : { compression: found[0] as LayerCompression };
}

/** @throws Fault `invalid`, naming what there is. */
export function parseForm(compression: string, level: string | undefined): LayerForm {
  if (!Object.hasOwn(types, compression))
    throw new Fault(
      "invalid",
      `unsupported compression type ${compression}: there are ${Object.keys(types).join(", ")}`,
    );
  if (level === undefined) return { compression: compression as LayerCompression };
  const most = { gzip: 9, zstd: 22, uncompressed: 0 }[compression as LayerCompression];
  if (!/^\d+$/.test(level) || Number(level) > most)
    throw new Fault("invalid", `compression-level ${level} is none of ${compression}: want 0 to ${most}`);
  return { compression: compression as LayerCompression, level: Number(level) };
}
