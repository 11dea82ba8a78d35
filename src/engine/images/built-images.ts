/**
 * Images of a build that settled what they are called elsewhere: manifests and an index made before any push.
 * Promises: all of it in one transaction; a push of their names sends those documents byte for byte.
 */
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor, ImageConfig } from "#spec/image.ts";
import type { Blobs } from "#store/blobs.ts";
import { once } from "./counted.ts";
import type { ImageIndex } from "./image-index.ts";
import type { Leases } from "./leases.ts";
import type { Provenance } from "./provenance.ts";

/** JSON, and what it is called. */
export interface BuiltDocument {
  readonly bytes: Uint8Array;
  readonly descriptor: Descriptor;
}

export interface BuiltImage {
  readonly config: ImageConfig;
  readonly chainId?: ChainId | undefined;
  readonly manifest: BuiltDocument;
  /** From the bottom up, in the form the manifest has them; their bytes are made again when they are wanted. */
  readonly layers: readonly {
    readonly diffId: Digest;
    readonly descriptor: Descriptor;
    readonly level?: number | undefined;
  }[];
  /** Manifests about it that are in the index, with their blobs. */
  readonly attached: readonly {
    readonly manifest: BuiltDocument;
    readonly blobs: readonly BuiltDocument[];
  }[];
}

export interface BuiltImages {
  readonly images: readonly BuiltImage[];
  readonly index?: BuiltDocument | undefined;
  readonly names: readonly string[];
}

export interface BuiltImagesParts {
  readonly index: ImageIndex;
  readonly blobs: Pick<Blobs, "put">;
  readonly provenance: Provenance;
  readonly leases: Leases;
  readonly create: (o: { readonly config: ImageConfig; readonly chainId?: ChainId }) => Promise<Digest>;
  readonly tagAll: (ids: readonly Digest[], target: string, index?: Digest) => void;
  readonly tag: (id: Digest, target: string) => void;
}

/** @returns The images' ids, in their order. @throws Fault `invalid` for a malformed name. */
export async function keepBuiltImages(
  { index, blobs, provenance, leases, ...parts }: BuiltImagesParts,
  built: BuiltImages,
): Promise<Digest[]> {
  const documents = built.images.flatMap(({ manifest, attached }) => [
    manifest,
    ...attached.flatMap((each) => [each.manifest, ...each.blobs]),
  ]);
  if (built.index !== undefined) documents.push(built.index);
  using _ = leases.hold(documents.map(({ descriptor }) => descriptor.digest));
  for (const { bytes, descriptor } of documents) await blobs.put(once(bytes), { digest: descriptor.digest });
  const ids: Digest[] = [];
  for (const { config, chainId } of built.images)
    ids.push(await parts.create({ config, ...(chainId !== undefined && { chainId }) }));
  index.transaction(() => {
    for (const [at, { manifest, layers, attached }] of built.images.entries()) {
      const id = ids[at];
      if (id === undefined) throw new Fault("internal", "an image was not made");
      provenance.addManifest(id, {
        ...recordOf(manifest),
        ...(attached.length > 0 && {
          attached: attached.map((each) => {
            const { digest, mediaType } = each.manifest.descriptor;
            return { digest, mediaType, blobs: each.blobs.map(({ descriptor }) => descriptor.digest) };
          }),
        }),
      });
      for (const { diffId, descriptor, level } of layers) {
        const { digest, size: sizeBytes, mediaType } = descriptor;
        const blob = { digest, sizeBytes, mediaType, ...(level !== undefined && { level }) };
        provenance.addBlob(diffId, blob, undefined);
      }
    }
    const [first] = ids;
    for (const name of built.names)
      if (built.index !== undefined) parts.tagAll(ids, name, built.index.descriptor.digest);
      else if (first !== undefined) parts.tag(first, name);
  });
  return ids;
}

function recordOf({ descriptor: { digest, mediaType, size: sizeBytes } }: BuiltDocument) {
  return { digest, mediaType, sizeBytes };
}
