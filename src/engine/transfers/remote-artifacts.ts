/**
 * What is in a registry without being an image here: documents and blobs by name, read as they are wanted; layers of ours
 * under documents of somebody else's making.
 * Promises: every byte that is read has the digest it was asked for by. Never: makes images.
 */

import type { BuiltDocument } from "#engine/images/built-images.ts";
import { once } from "#engine/images/counted.ts";
import type { Leases } from "#engine/images/leases.ts";
import type { Provenance } from "#engine/images/provenance.ts";
import type { RegistryAccess, RegistryPart } from "#engine/parts.ts";
import { type ChainId, type Digest, shortDigest } from "#spec/digest.ts";
import { type Descriptor, mediaType } from "#spec/image.ts";
import { parseReference, repositoryName, withDefaultTag } from "#spec/reference.ts";
import type { LayerForm } from "#store/layers/layer-form.ts";
import type { Layers } from "#store/layers/layers.ts";
import { placeLayer } from "./place-layer.ts";
import { LayerProgress, type Tell } from "./transfer-progress.ts";

export interface RemoteArtifactsParts {
  readonly registry: Pick<RegistryPart, "source" | "target">;
  readonly layers: Pick<Layers, "tar" | "get">;
  readonly provenance: Provenance;
  readonly leases: Leases;
}

/** A name in a registry, to read from. */
export interface RemoteArtifact {
  /** What the name leads to: a manifest or an index. */
  top(signal: AbortSignal): Promise<Uint8Array>;
  manifest(digest: Digest, signal: AbortSignal): Promise<Uint8Array>;
  /** Parts are lent until the next one. */
  read(blob: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface PushedArtifact extends RegistryAccess {
  readonly layers: readonly { readonly chainId: ChainId; readonly diffId: Digest }[];
  /** Of the layers; any that the registry has already when absent. */
  readonly form?: LayerForm | undefined;
  /** Made when it is known what the layers are called there; the last one gets the name. */
  readonly documents: (blobOf: (diffId: Digest) => Descriptor) => readonly BuiltDocument[];
  readonly tell: Tell;
}

export class RemoteArtifacts {
  readonly #parts: RemoteArtifactsParts;

  constructor(parts: RemoteArtifactsParts) {
    this.#parts = parts;
  }

  remote(name: string, access: Pick<RegistryAccess, "credentials">): RemoteArtifact {
    const reference = withDefaultTag(parseReference(name));
    const source = (signal: AbortSignal) => this.#parts.registry.source(reference, { ...access, signal });
    const manifest = async (of: string, signal: AbortSignal) =>
      (await source(signal).manifest(of, signal)).bytes;
    return {
      top: async (signal) => await manifest(reference.digest ?? reference.tag ?? "latest", signal),
      manifest,
      async *read(blob, signal) {
        await using fetched = await source(signal).fetch(blob, { signal, tell: () => undefined });
        yield* fetched.read();
        fetched.spend();
      },
    };
  }

  /** @returns What the name leads to afterwards. */
  async push(name: string, o: PushedArtifact): Promise<Digest> {
    const { registry, layers, leases, provenance } = this.#parts;
    const reference = withDefaultTag(parseReference(name));
    const target = registry.target(reference, o);
    using _ = leases.hold(o.layers.map(({ chainId }) => chainId));
    const placed = new Map<Digest, Descriptor>();
    await Promise.all(
      o.layers.map(async ({ chainId, diffId }) => {
        const progress = new LayerProgress(o.tell, shortDigest(diffId));
        const tarSizeBytes = layers.get(chainId)?.tarSizeBytes ?? 0;
        const { signal, form } = o;
        const going = { chainId, diffId, tarSizeBytes, progress };
        const blob = await placeLayer(this.#parts, going, {
          ...{ reference, target, preferred: new Set(), form, signal },
        });
        provenance.addBlob(diffId, blob, repositoryName(reference));
        placed.set(diffId, { mediaType: blob.mediaType, digest: blob.digest, size: blob.sizeBytes });
      }),
    );
    const documents = o.documents((diffId) => {
      const found = placed.get(diffId);
      if (found === undefined) throw new Error(`the layer ${diffId} was not pushed`);
      return found;
    });
    const top = documents.at(-1);
    if (top === undefined) throw new Error("there is nothing to push");
    for (const { bytes, descriptor } of documents.slice(0, -1))
      if ((await target.hasBlob(descriptor.digest, o.signal)) === undefined)
        await target.upload(() => once(bytes), { signal: o.signal });
    const { bytes, descriptor } = top;
    await target.putManifest(reference.tag ?? "latest", { bytes, mediaType: descriptor.mediaType }, o.signal);
    return descriptor.digest;
  }
}

/** In OCI's words, or Docker's. */
export function inWords(type: string, words: "oci" | "docker"): string {
  const pairs: Readonly<Record<string, string>> = {
    [mediaType.dockerLayer]: mediaType.ociLayer,
    [mediaType.dockerLayerGzip]: mediaType.ociLayerGzip,
    [mediaType.dockerLayerZstd]: mediaType.ociLayerZstd,
  };
  if (words === "oci") return pairs[type] ?? type;
  return Object.entries(pairs).find(([, oci]) => oci === type)?.[0] ?? type;
}
