/**
 * Images to registries.
 * Owns: a push's steps: layers, config, manifest, index. Promises: what the registry has, in this repository or another of
 * its own, is not sent; a manifest that came from a registry goes back as it was when its blobs are there, and an equal
 * image has an equal manifest otherwise.
 * Never: speaks HTTP.
 */

import type { Emit } from "#engine/emit.ts";
import { once } from "#engine/images/counted.ts";
import type { ImageIndex } from "#engine/images/image-index.ts";
import type { ImageDetail } from "#engine/images/image-list.ts";
import { chainOf } from "#engine/images/image-removal.ts";
import type { Images } from "#engine/images/images.ts";
import type { Leases } from "#engine/images/leases.ts";
import { type ManifestDocument, makeIndex, makeManifest } from "#engine/images/make-manifest.ts";
import type { AttachedManifest, Provenance } from "#engine/images/provenance.ts";
import type { RegistryAccess, RegistryPart, RegistryTarget } from "#engine/parts.ts";
import { type Digest, shortDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor, Platform } from "#spec/image.ts";
import { parseManifest } from "#spec/manifest.ts";
import {
  familiarName,
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
  repositoryName,
} from "#spec/reference.ts";
import type { Blobs } from "#store/blobs.ts";
import type { Layers } from "#store/layers/layers.ts";
import { sendAttestations } from "./attestations.ts";
import { type GoingLayer, type Placed, placeLayer } from "./place-layer.ts";
import { LayerProgress, type Tell } from "./transfer-progress.ts";

export interface PushesParts {
  readonly registry: Pick<RegistryPart, "target">;
  readonly blobs: Pick<Blobs, "read" | "stat" | "put">;
  readonly layers: Pick<Layers, "get" | "tar">;
  readonly images: Pick<Images, "get" | "candidates">;
  readonly index: ImageIndex;
  readonly provenance: Provenance;
  readonly leases: Leases;
  readonly emit: Emit;
}

export interface PushOptions extends RegistryAccess {
  /** Only this one of what the name stands for. @default all of them */
  readonly platform?: Platform | undefined;
  readonly tell: Tell;
}

/** An image whose blobs are where it is going. */
type Pushed = ManifestDocument & { readonly image: ImageDetail };
export class Pushes {
  readonly #parts: PushesParts;

  constructor(parts: PushesParts) {
    this.#parts = parts;
  }

  /** One tag, or every tag of the repository here when the reference has none. @returns The digest of the last. */
  async push(reference: Reference, o: PushOptions): Promise<Digest> {
    o.tell({ status: `The push refers to repository [${repositoryName(reference)}]` });
    const tags = this.#tags(reference);
    if (tags.length === 0)
      throw new Fault(
        "not-found",
        `An image does not exist locally with the tag: ${familiarName(reference)}`,
      );
    const target = this.#parts.registry.target(reference, o);
    let digest: Digest | undefined;
    for (const tag of tags) digest = await this.#pushTag({ ...reference, tag }, target, o);
    if (digest === undefined) throw new Fault("internal", "a push ended without a digest");
    return digest;
  }

  #tags(reference: Reference): string[] {
    const { index } = this.#parts;
    const repository = repositoryName(reference);
    const names = index
      .allNames()
      .map(([name]) => parseReference(name))
      .filter((each) => repositoryName(each) === repository && each.tag !== undefined);
    return names
      .map(({ tag }) => tag ?? "")
      .filter((tag) => reference.tag === undefined || tag === reference.tag);
  }

  async #pushTag(reference: Reference, target: RegistryTarget, o: PushOptions): Promise<Digest> {
    const { images, index, emit } = this.#parts;
    const name = familiarReference(reference);
    const chosen = o.platform === undefined ? images.candidates(name) : [images.get(name, o.platform)];
    const pushed: Pushed[] = [];
    for (const image of chosen) {
      pushed.push({ ...(await this.#pushImage(image, reference, target, o)), image });
    }
    const [first] = pushed;
    if (first === undefined) throw new Fault("internal", `${name} leads to no image`);
    const known = o.platform === undefined ? await this.#knownIndex(reference, pushed) : undefined;
    const isIndex = known !== undefined || pushed.length > 1;
    if (isIndex) for (const each of pushed) await target.putManifest(each.digest, each, o.signal);
    await sendAttestations(this.#parts.blobs, target, known?.attached ?? [], o.signal);
    const top = known?.document ?? (isIndex ? makeIndex(pushed.map(withPlatform)) : first);
    const tag = reference.tag ?? "latest";
    await target.putManifest(tag, top, o.signal);
    const { domain, path } = reference;
    const byDigest = formatReference({ domain, path, digest: top.digest });
    const variants = index.variants(formatReference(reference));
    if (index.find(first.image.record.id) !== undefined)
      index.name(first.image.record.id, byDigest, isIndex ? variants : undefined);
    const size = top.bytes.length;
    o.tell({ status: `${tag}: digest: ${top.digest} size: ${size}` });
    o.tell({ progressDetail: {}, aux: { Tag: tag, Digest: top.digest, Size: size } });
    emit("image", "push", name, { name: familiarName(reference) });
    return top.digest;
  }

  /** Everything an image needs, without the manifest itself. */
  async #pushImage(
    image: ImageDetail,
    reference: Reference,
    target: RegistryTarget,
    o: PushOptions,
  ): Promise<ManifestDocument> {
    const { blobs, index, layers, leases, provenance } = this.#parts;
    const { id, chainId } = image.record;
    const chain = chainOf(layers, chainId).map((layer): GoingLayer => {
      const progress = new LayerProgress(o.tell, shortDigest(layer.diffId));
      return { ...layer, progress };
    });
    using _ = leases.hold([id, ...chain.map((each) => each.chainId)]);
    for (const { progress } of chain) progress.say("Preparing");
    const preferred = await this.#preferredBlobs(id);
    const stop = new AbortController();
    const signal = AbortSignal.any([o.signal, stop.signal]);
    const placing = chain.map(async (layer) => {
      try {
        return await placeLayer(this.#parts, layer, { reference, target, preferred, signal });
      } catch (thrown) {
        stop.abort(thrown);
        throw thrown;
      }
    });
    const settled = await Promise.allSettled(placing);
    o.signal.throwIfAborted();
    if (stop.signal.aborted) throw stop.signal.reason;
    const placed = settled.flatMap((each) => (each.status === "fulfilled" ? [each.value] : [])).reverse();
    const config = await blobs.read(id);
    if ((await target.hasBlob(id, o.signal)) === undefined)
      await target.upload(() => once(config), { signal: o.signal });
    const document =
      (await this.#known(id, placed)) ?? makeManifest({ digest: id, size: config.length }, placed);
    await blobs.put(once(document.bytes), { digest: document.digest });
    index.transaction(() => {
      const { digest, bytes } = document;
      provenance.addManifest(id, { digest, mediaType: document.mediaType, sizeBytes: bytes.length });
      const diffIds = chain.map(({ diffId }) => diffId).reverse();
      for (const [at, blob] of placed.entries()) {
        const diffId = diffIds[at];
        if (diffId !== undefined) provenance.addBlob(diffId, blob, repositoryName(reference));
      }
    });
    return document;
  }

  /** Blobs that make a manifest an image came with whole again. */
  async #preferredBlobs(id: Digest): Promise<ReadonlySet<Digest>> {
    const preferred = new Set<Digest>();
    for (const { manifest } of await this.#manifests(id))
      for (const { digest } of manifest) preferred.add(digest);
    return preferred;
  }

  /** Manifests that registries have of an image, the newest first. */
  async #manifests(
    id: Digest,
  ): Promise<{ readonly document: ManifestDocument; readonly manifest: readonly Descriptor[] }[]> {
    const { blobs, provenance } = this.#parts;
    const found: { document: ManifestDocument; manifest: readonly Descriptor[] }[] = [];
    for (const { digest, mediaType: type } of provenance.manifests(id)) {
      if ((await blobs.stat(digest)) === undefined) continue;
      const bytes = await blobs.read(digest);
      const parsed = parseManifest(bytes, type);
      if (parsed.kind === "manifest")
        found.push({ document: { bytes, digest, mediaType: type }, manifest: parsed.layers });
    }
    return found;
  }

  /** The manifest the image came with, when all its blobs are where it is going. */
  async #known(id: Digest, placed: readonly Placed[]): Promise<ManifestDocument | undefined> {
    const fits = (layers: readonly Descriptor[]) =>
      layers.length === placed.length && layers.every(({ digest }, at) => digest === placed[at]?.digest);
    return (await this.#manifests(id)).find(({ manifest }) => fits(manifest))?.document;
  }

  /** The index the tag stands for, byte for byte, when all that is in it is here: images, and what it says about them. */
  async #knownIndex(
    reference: Reference,
    pushed: readonly Pushed[],
  ): Promise<{ document: ManifestDocument; attached: AttachedManifest[] } | undefined> {
    const { blobs, index, provenance } = this.#parts;
    const known = index.variants(formatReference(reference))?.index;
    if (known === undefined || (await blobs.stat(known)) === undefined) return undefined;
    const bytes = await blobs.read(known);
    const parsed = parseManifest(bytes);
    if (parsed.kind !== "index") return undefined;
    const attached = pushed.flatMap(({ digest, image }) =>
      provenance
        .manifests(image.record.id)
        .flatMap((manifest) => (manifest.digest === digest ? (manifest.attached ?? []) : [])),
    );
    const here = new Set([...pushed, ...attached].map(({ digest }) => digest));
    if (!parsed.manifests.every(({ digest }) => here.has(digest))) return undefined;
    return { document: { bytes, digest: known, mediaType: parsed.mediaType }, attached };
  }
}

function withPlatform({ image, ...document }: Pushed): ManifestDocument & { readonly platform: Platform } {
  return { ...document, platform: image.config };
}
