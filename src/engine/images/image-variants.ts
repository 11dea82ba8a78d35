/** What a name stands for on each platform, as the API's lists of manifests tell it. */
import type { Digest } from "#spec/digest.ts";
import { type Descriptor, mediaType, type Platform } from "#spec/image.ts";
import type { ImageDetail } from "./image-list.ts";
import type { Provenance } from "./provenance.ts";

export interface ImageVariant {
  readonly id: Digest;
  /** Of the manifest it came with, or of its config when it came with none. */
  readonly descriptor: Descriptor;
  readonly platform: Platform;
  /** All layers, unpacked. */
  readonly sizeBytes: number;
  /** Ids of containers made of it. */
  readonly containers: readonly string[];
}

export function variantOf(
  { record, config }: ImageDetail,
  provenance: Pick<Provenance, "manifests">,
  containers: readonly string[],
): ImageVariant {
  const [known] = provenance.manifests(record.id);
  const { architecture, os, variant } = config;
  const platform = { architecture, os, ...(variant !== undefined && { variant }) };
  const descriptor =
    known === undefined
      ? { mediaType: mediaType.dockerConfig, digest: record.id, size: 0 }
      : { mediaType: known.mediaType, digest: known.digest, size: known.sizeBytes };
  return {
    id: record.id,
    descriptor: { ...descriptor, platform },
    platform,
    sizeBytes: record.sizeBytes,
    containers,
  };
}
