/**
 * What registries know of our images and layers: manifests whose config is an image, and the compressed forms a layer came
 * in or went out as. Only their digests are kept, never the compressed bytes: a push asks the registry whether it has one
 * of them before it compresses again.
 * Owns: two tables. Promises: bounded lists, the newest first.
 */
import type { Digest } from "#spec/digest.ts";
import type { Records, Table } from "#store/records.ts";

/** The manifest's bytes are the blob `digest`. */
export interface ManifestRecord {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** What the index it came in says about it. */
  readonly attached?: readonly AttachedManifest[];
}

/** A manifest about another one; it and its blobs are kept. */
export interface AttachedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly blobs: readonly Digest[];
}

/** Of all that is kept for a manifest, itself first. */
export function blobsFor({ digest, attached = [] }: ManifestRecord): Digest[] {
  return [digest, ...attached.flatMap((each) => [each.digest, ...each.blobs])];
}

export interface LayerBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly mediaType: string;
  /** Of the compressor, when a build asked for one. */
  readonly level?: number;
  /** `docker.io/library/alpine`: where it was seen. */
  readonly repositories: readonly string[];
}

const manifestsMax = 16;
const blobsMax = 8;
const repositoriesMax = 16;

export class Provenance {
  readonly #manifests: Table<readonly ManifestRecord[]>;
  readonly #blobs: Table<readonly LayerBlob[]>;

  constructor(records: Records) {
    this.#manifests = records.table("image-manifests");
    this.#blobs = records.table("layer-blobs");
  }

  manifests(image: Digest): readonly ManifestRecord[] {
    return this.#manifests.get(image) ?? [];
  }

  addManifest(image: Digest, manifest: ManifestRecord): void {
    const known = this.manifests(image);
    const others = known.filter(({ digest }) => digest !== manifest.digest);
    const attached = manifest.attached ?? known.find(({ digest }) => digest === manifest.digest)?.attached;
    const added = { ...manifest, ...(attached !== undefined && { attached }) };
    this.#manifests.put(image, [added, ...others].slice(0, manifestsMax));
  }

  /** @returns What it was known by. */
  forgetImage(image: Digest): readonly ManifestRecord[] {
    const manifests = this.manifests(image);
    this.#manifests.delete(image);
    return manifests;
  }

  /** Digests of every manifest, with the image it is of. */
  allManifests(): [image: Digest, manifest: ManifestRecord][] {
    return this.#manifests
      .entries()
      .flatMap(([image, manifests]) =>
        manifests.map((each): [Digest, ManifestRecord] => [image as Digest, each]),
      );
  }

  /** Compressed forms of a layer. */
  blobs(diffId: Digest): readonly LayerBlob[] {
    return this.#blobs.get(diffId) ?? [];
  }

  /** Without a repository: it is not known to be anywhere yet. */
  addBlob(diffId: Digest, blob: Omit<LayerBlob, "repositories">, repository: string | undefined): void {
    const known = this.blobs(diffId);
    const same = known.find(({ digest }) => digest === blob.digest);
    const seen = (same?.repositories ?? []).filter((each) => each !== repository);
    const repositories = repository === undefined ? seen : [repository, ...seen];
    const others = known.filter((each) => each !== same);
    const added = { ...blob, repositories: repositories.slice(0, repositoriesMax) };
    this.#blobs.put(diffId, [added, ...others].slice(0, blobsMax));
  }

  forgetLayer(diffId: Digest): void {
    this.#blobs.delete(diffId);
  }

  /** Drops what is known of layers that are gone. */
  keepLayers(diffIds: ReadonlySet<Digest>): void {
    for (const [diffId] of this.#blobs.entries())
      if (!diffIds.has(diffId as Digest)) this.#blobs.delete(diffId);
  }
}
