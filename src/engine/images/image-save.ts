/**
 * Images as an archive that `docker load`, skopeo and podman read: an OCI image layout with Docker's `manifest.json` beside
 * it.
 * Promises: documents come first and layers from the bottom up, so that who loads it can unpack as it comes; equal images
 * make equal archives; a layer that several images share is in it once.
 */
import { createHash } from "node:crypto";
import type { Emit } from "#engine/emit.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { isFault } from "#spec/fault.ts";
import { mediaType, type Platform } from "#spec/image.ts";
import {
  familiarReference,
  formatReference,
  parseReference,
  repositoryName,
  withDefaultTag,
} from "#spec/reference.ts";
import type { Blobs } from "#store/blobs.ts";
import type { Layers } from "#store/layers/layers.ts";
import { madeEntry } from "#store/tar/made-entry.ts";
import { endOfArchive, paddingAfter } from "#store/tar/tar-writer.ts";
import { archiveNames, blobPath } from "./archive-plan.ts";
import type { ImageIndex } from "./image-index.ts";
import type { ImageDetail } from "./image-list.ts";
import { chainOf } from "./image-removal.ts";
import type { Images } from "./images.ts";
import type { Leases } from "./leases.ts";

export interface SaveParts {
  readonly blobs: Pick<Blobs, "read">;
  readonly layers: Pick<Layers, "get" | "tar">;
  readonly images: Pick<Images, "get" | "candidates">;
  readonly index: ImageIndex;
  readonly leases: Leases;
  readonly emit: Emit;
}

interface Saved {
  readonly detail: ImageDetail;
  readonly config: Uint8Array;
  /** From the bottom up. */
  readonly layers: readonly {
    readonly chainId: ChainId;
    readonly diffId: Digest;
    readonly tarSizeBytes: number;
  }[];
  readonly manifest: Uint8Array;
  /** Canonical names in the archive. */
  readonly names: Set<string>;
  /** Those that lead to it without a platform being asked for: Docker knows no others. */
  readonly ownNames: Set<string>;
}

/** @throws Fault `not-found` at the call for what is not here. */
export async function saveImages(
  parts: SaveParts,
  references: readonly string[],
  o: { readonly platforms: readonly Platform[]; readonly signal: AbortSignal },
): Promise<AsyncIterable<Uint8Array>> {
  const saved = new Map<Digest, Saved>();
  for (const reference of references)
    for (const { name, detail, isOwn } of wanted(parts, reference, o.platforms)) {
      const { id, chainId } = detail.record;
      let image = saved.get(id);
      if (image === undefined) {
        const layers = chainOf(parts.layers, chainId).reverse();
        const config = await parts.blobs.read(id);
        image = {
          detail,
          config,
          layers,
          manifest: manifestOf(id, config, layers),
          names: new Set(),
          ownNames: new Set(),
        };
        saved.set(id, image);
      }
      if (name !== undefined) image.names.add(name);
      if (name !== undefined && isOwn) image.ownNames.add(name);
    }
  const images = [...saved.values()];
  return archive(parts, images, o.signal);
}

/** The images a reference stands for, with the names they are saved under: a repository alone means all its tags. */
function wanted(
  { images, index }: SaveParts,
  reference: string,
  platforms: readonly Platform[],
): { name: string | undefined; detail: ImageDetail; isOwn: boolean }[] {
  const all = (name: string) => {
    const chosen = new Set(platforms.map((platform) => images.get(name, platform).record.id));
    return images.candidates(name).filter(({ record }) => chosen.size === 0 || chosen.has(record.id));
  };
  try {
    const parsed = parseReference(reference);
    if (parsed.tag === undefined && parsed.digest === undefined) {
      const tags = index
        .allNames()
        .map(([name]) => name)
        .filter(
          (name) => !name.includes("@") && repositoryName(parseReference(name)) === repositoryName(parsed),
        );
      if (tags.length > 0)
        return tags.flatMap((name) => all(name).map((detail, at) => ({ name, detail, isOwn: at === 0 })));
    }
    const name = index.nameOf(reference);
    const tagged =
      name !== undefined && !name.includes("@") ? formatReference(withDefaultTag(parsed)) : undefined;
    return all(reference).map((detail, at) => ({ name: tagged, detail, isOwn: at === 0 }));
  } catch (thrown) {
    if (!isFault(thrown, "invalid")) throw thrown;
    // No name can look like that, an id can.
    return all(reference).map((detail) => ({ name: undefined, detail, isOwn: false }));
  }
}

async function* archive(
  { layers, leases, emit }: SaveParts,
  images: readonly Saved[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  using _ = leases.hold(images.flatMap((image) => image.layers.map(({ chainId }) => chainId)));
  const { index, nested } = indexOf(images);
  const documents = new Map<string, Uint8Array>([
    [archiveNames.ociLayout, encode({ imageLayoutVersion: "1.0.0" })],
    [archiveNames.ociIndex, index],
    [archiveNames.dockerManifest, encode(images.map(dockerEntry))],
  ]);
  for (const bytes of [...nested, ...images.flatMap(({ config, manifest }) => [config, manifest])])
    documents.set(blobPath(digestOf(bytes)), bytes);
  for (const name of ["blobs", "blobs/sha256"]) yield madeEntry("directory", name, 0);
  for (const [name, bytes] of documents) {
    yield madeEntry("file", name, bytes.length);
    yield bytes;
    yield paddingAfter(bytes.length);
  }
  const written = new Set<Digest>();
  for (const image of images) {
    for (const { chainId, diffId, tarSizeBytes } of image.layers) {
      if (written.has(diffId)) continue;
      written.add(diffId);
      yield madeEntry("file", blobPath(diffId), tarSizeBytes);
      yield* layers.tar(chainId, { signal });
      yield paddingAfter(tarSizeBytes);
    }
    emit("image", "save", image.detail.record.id, { name: image.detail.record.id });
  }
  yield endOfArchive;
}

function manifestOf(id: Digest, config: Uint8Array, layers: Saved["layers"]): Uint8Array {
  return encode({
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    config: { mediaType: mediaType.ociConfig, digest: id, size: config.length },
    layers: layers.map(({ diffId, tarSizeBytes }) => ({
      ...{ mediaType: mediaType.ociLayer, digest: diffId, size: tarSizeBytes },
    })),
  });
}

/** A name of several platforms' images leads to an index of its own, which is how other programs tell them apart. */
function indexOf(images: readonly Saved[]): { index: Uint8Array; nested: Uint8Array[] } {
  const byName = new Map<string, Saved[]>();
  for (const image of images)
    for (const name of image.names) byName.set(name, [...(byName.get(name) ?? []), image]);
  const nested: Uint8Array[] = [];
  const named = [...byName].map(([name, among]) => {
    const [first] = among;
    if (among.length === 1 && first !== undefined) return { ...descriptorOf(first), ...nameOf(name) };
    const bytes = encode(indexDocument(among.map(descriptorOf)));
    nested.push(bytes);
    return {
      ...{ mediaType: mediaType.ociIndex, digest: digestOf(bytes), size: bytes.length },
      ...nameOf(name),
    };
  });
  const nameless = images.filter(({ names }) => names.size === 0).map(descriptorOf);
  return { index: encode(indexDocument([...named, ...nameless])), nested };
}

function indexDocument(manifests: readonly object[]): object {
  return { schemaVersion: 2, mediaType: mediaType.ociIndex, manifests };
}

function nameOf(name: string): object {
  return {
    annotations: {
      "io.containerd.image.name": name,
      "org.opencontainers.image.ref.name": parseReference(name).tag ?? "latest",
    },
  };
}

function descriptorOf({ manifest, detail: { config } }: Saved): object {
  const { architecture, os, variant } = config;
  return {
    ...{ mediaType: mediaType.ociManifest, digest: digestOf(manifest), size: manifest.length },
    platform: { architecture, os, ...(variant !== undefined && { variant }) },
  };
}

function dockerEntry({ detail: { record }, layers, ownNames }: Saved): object {
  const tags = [...ownNames].map((name) => familiarReference(parseReference(name)));
  return {
    Config: blobPath(record.id),
    RepoTags: tags.length === 0 ? null : tags,
    Layers: layers.map(({ diffId }) => blobPath(diffId)),
  };
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}
