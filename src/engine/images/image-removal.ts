/**
 * Taking images away.
 * Owns: the order: names, then the record, then layers and blobs, so that a crash leaves only what nothing speaks of.
 * Promises: what is in the way is named; what a pull in progress holds stays.
 */

import type { Emit } from "#engine/emit.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { type ChainId, type Digest, shortDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { familiarReference, parseReference, repositoryName } from "#spec/reference.ts";
import type { Blobs } from "#store/blobs.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { ImageIndex, ImageRecord } from "./image-index.ts";
import type { KeptLayers } from "./kept-layers.ts";
import type { Leases } from "./leases.ts";
import { blobsFor, type Provenance } from "./provenance.ts";

/** `freedBytes`: of a layer's files; an image without its layers counts for nothing. */
export type Removed =
  | { readonly untagged: string }
  | { readonly deleted: string; readonly freedBytes: number };

export interface RemovalParts {
  readonly index: ImageIndex;
  readonly blobs: Pick<Blobs, "delete">;
  readonly layers: Pick<Layers, "get" | "list" | "remove">;
  readonly provenance: Provenance;
  readonly leases: Leases;
  readonly kept: KeptLayers;
  readonly emit: Emit;
  readonly containersOf: (id: Digest) => readonly ContainerRecord[];
  readonly forgetConfig: (id: Digest) => void;
}

export class ImageRemoval {
  readonly #parts: RemovalParts;

  constructor(parts: RemovalParts) {
    this.#parts = parts;
  }

  /**
   * Takes a name away, and the image with its last name; by id, all names (those of several repositories need `force`).
   * Parents that nothing names or uses go too, unless `noPrune`.
   * @throws Fault `conflict` naming the container or image in the way.
   */
  async remove(
    reference: string,
    o: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<Removed[]> {
    const { index } = this.#parts;
    const image = index.get(reference);
    const name = index.nameOf(reference);
    const names = index.names(image.id);
    const going = name === undefined ? names : [name, ...digestsLeftAlone(name, names)];
    if (going.length < names.length) return going.map((each) => this.#untag(image.id, each));
    if (name === undefined && !ofOneRepository(names) && !o.force)
      throw new Fault(
        "conflict",
        `conflict: unable to delete ${shortDigest(image.id)} (must be forced) - image is referenced in multiple repositories`,
      );
    const variants = going.flatMap((each) => index.variants(each)?.images ?? []);
    this.#checkUnused(image, o.force, name === undefined ? undefined : reference);
    if (index.children(image.id).length > 0) {
      if (names.length === 0)
        throw new Fault(
          "conflict",
          `conflict: unable to delete ${shortDigest(image.id)} (cannot be forced) - image has dependent child images`,
        );
      return names.map((each) => this.#untag(image.id, each));
    }
    const untagged = names.map((each) => this.#untag(image.id, each));
    const deleted = await this.#delete(image, o.noPrune);
    return [...untagged, ...deleted, ...(await this.#deleteVariants(variants, o.noPrune))];
  }

  /** Images that only stood behind a name that is gone. */
  async #deleteVariants(ids: readonly Digest[], noPrune: boolean): Promise<Removed[]> {
    const { index } = this.#parts;
    const deleted: Removed[] = [];
    for (const id of new Set(ids)) {
      const image = index.find(id);
      const kept = index.names(id).length + index.variantNames(id).length + index.children(id).length > 0;
      if (image !== undefined && !kept) deleted.push(...(await this.#delete(image, noPrune)));
    }
    return deleted;
  }

  #untag(id: Digest, name: string): Removed {
    this.#parts.index.untag(name);
    this.#parts.emit("image", "untag", id, { name: id });
    return { untagged: familiarReference(parseReference(name)) };
  }

  /** `name` is the reference as given when it is a name: then only that would go, and the image with it. */
  #checkUnused(image: ImageRecord, force: boolean, name: string | undefined): void {
    const users = this.#parts.containersOf(image.id);
    const [user] = users;
    const running = users.find(
      ({ observed }) => observed.status === "running" || observed.status === "paused",
    );
    const short = shortDigest(image.id);
    if (user !== undefined && name !== undefined && !force)
      throw new Fault(
        "conflict",
        `conflict: unable to remove repository reference ${JSON.stringify(name)} (must force) - container ${shortDigest(user.id)} is using its referenced image ${short}`,
      );
    if (running !== undefined && name === undefined)
      throw new Fault(
        "conflict",
        `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container ${shortDigest(running.id)}`,
      );
    if (user !== undefined && !force)
      throw new Fault(
        "conflict",
        `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container ${shortDigest(user.id)}`,
      );
  }

  /** Deletes the image, its layers that nothing else uses, and, going up, its nameless unused parents. */
  async #delete(image: ImageRecord, noPrune: boolean): Promise<Removed[]> {
    const { index, emit, containersOf } = this.#parts;
    const deleted: Removed[] = [];
    let doomed: ImageRecord | undefined = image;
    while (doomed !== undefined) {
      if (containersOf(doomed.id).length > 0) break;
      deleted.push(...(await this.#deleteOne(doomed)));
      emit("image", "delete", doomed.id, { name: doomed.id });
      const parent: ImageRecord | undefined =
        doomed.parent === undefined ? undefined : index.find(doomed.parent);
      const stays: boolean =
        noPrune ||
        parent === undefined ||
        index.names(parent.id).length > 0 ||
        index.variantNames(parent.id).length > 0 ||
        index.children(parent.id).length > 0;
      doomed = stays ? undefined : parent;
    }
    return deleted;
  }

  async #deleteOne({ id, chainId }: ImageRecord): Promise<Removed[]> {
    const { index, blobs, provenance, leases, forgetConfig } = this.#parts;
    const manifests = index.transaction(() => {
      index.delete(id);
      return provenance.forgetImage(id);
    });
    forgetConfig(id);
    const shared = new Set(provenance.allManifests().flatMap(([, each]) => blobsFor(each)));
    for (const digest of [id, ...manifests.flatMap(blobsFor)])
      if (!leases.has(digest) && !shared.has(digest)) await blobs.delete(digest);
    const layers = await this.collectLayers(chainId);
    const freed = layers.map((layer) => ({ deleted: layer.chainId, freedBytes: layer.sizeBytes }));
    return [{ deleted: id, freedBytes: 0 }, ...freed];
  }

  /** Removes layers that no image needs, as those of a build or a pull that an engine's death cut off. */
  async collectAllLayers(): Promise<void> {
    const { layers, provenance } = this.#parts;
    const inner = new Set(layers.list().map(({ parent }) => parent));
    for (const { chainId } of layers.list()) if (!inner.has(chainId)) await this.collectLayers(chainId);
    provenance.keepLayers(new Set(layers.list().map(({ diffId }) => diffId)));
  }

  /** Removes a layer and those below it, down to the first that an image, a container or a pull needs. */
  async collectLayers(
    top: ChainId | undefined,
  ): Promise<{ readonly chainId: ChainId; readonly sizeBytes: number }[]> {
    const { index, layers, leases, kept } = this.#parts;
    const needed = new Set<ChainId>();
    for (const chainId of [...index.list().map((image) => image.chainId), ...kept.list()])
      for (const each of chainOf(layers, chainId)) needed.add(each.chainId);
    const removed: { chainId: ChainId; sizeBytes: number }[] = [];
    for (const { chainId, sizeBytes } of chainOf(layers, top)) {
      if (needed.has(chainId) || leases.has(chainId)) break;
      try {
        if (await layers.remove(chainId)) removed.push({ chainId, sizeBytes });
      } catch (error) {
        // A container's writable layer still stands on it; removing that container collects it.
        if (Fault.from(error).kind === "conflict") break;
        throw error;
      }
    }
    return removed;
  }
}

/** The layers from the top down. */
export function chainOf(
  layers: Pick<Layers, "get">,
  top: ChainId | undefined,
): {
  readonly chainId: ChainId;
  readonly diffId: Digest;
  readonly sizeBytes: number;
  readonly tarSizeBytes: number;
}[] {
  const chain: ReturnType<typeof chainOf> = [];
  for (let at = top; at !== undefined; ) {
    const layer = layers.get(at);
    if (layer === undefined) break;
    chain.push(layer);
    at = layer.parent;
  }
  return chain;
}

/** At most one tag, and digests of its repository. */
function ofOneRepository(names: readonly string[]): boolean {
  const repositories = new Set(names.map((name) => repositoryName(parseReference(name))));
  return repositories.size <= 1 && names.filter((name) => !name.includes("@")).length <= 1;
}

/** Digests of a repository go with its last tag. */
function digestsLeftAlone(name: string, names: readonly string[]): string[] {
  if (name.includes("@")) return [];
  const repository = repositoryName(parseReference(name));
  const siblings = names.filter(
    (each) => each !== name && repositoryName(parseReference(each)) === repository,
  );
  return siblings.every((each) => each.includes("@")) ? siblings : [];
}
