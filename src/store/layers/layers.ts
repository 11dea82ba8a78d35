/**
 * Layers: the file systems of images, and of the containers that stand on them.
 * Owns: `layers/<hex>` for what never changes, `writable/<id>` for what does, `skeletons/<hex>` between the two, and
 * `incoming` and `outgoing` for what is being made and taken away.
 * Promises: a recorded layer is whole; what a crash leaves has no record and goes at the next `open()`; a layer that
 * something stands on is not removed. Never: an image, or who wants a layer.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Beneath } from "#kernel/files/beneath.ts";
import { bytePath } from "#kernel/files/byte-path.ts";
import { type FileStat, fileKind } from "#kernel/files/files-at.ts";
import { keepsProjectQuotas, limitDirectory, unlimitDirectory } from "#kernel/files/project-quota.ts";
import { type ChainId, type Digest, encodedDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { layersMax } from "#spec/manifest.ts";
import { Breath } from "#store/breath.ts";
import { discardTree } from "#store/discard.ts";
import { explainFull } from "#store/disk-full.ts";
import { diskUsage } from "#store/disk-usage.ts";
import { Outgoing } from "#store/outgoing.ts";
import type { Records } from "#store/records.ts";
import { bounded, decompress } from "#store/tar/decompress.ts";
import { LowerTree } from "#store/trees/lower-tree.ts";
import { type Change, upperChanges } from "#store/trees/upper-changes.ts";
import { makeApart } from "./apart.ts";
import { incomingPath, LayerLeftovers, leftOver, merged, scratch } from "./layer-leftovers.ts";
import { chainIdOf, LayerIndex, type LayerRecord, type WritableRecord } from "./layer-records.ts";
import { sealLayer, treeTar } from "./layer-seal.ts";
import { makeSkeleton } from "./layer-skeleton.ts";
import { layerTar } from "./layer-tar.ts";
import { layerNames, type UnpackedLayer, unpackLayer } from "./layer-unpack.ts";
import {
  type HeldRoot,
  type MountOptions,
  type OverlayPaths,
  openLayers,
  WritableMounts,
} from "./writable-mounts.ts";

const kept = { upper: "upper", work: "work", merged } as const;
const writableId = /^[a-z0-9][a-z0-9_.-]{0,127}$/;

type RootLook = Pick<FileStat, "mode" | "uid" | "gid">;

interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

export interface ApplyOptions {
  /** Refuse a tar without its end mark. @default false */
  readonly endRequired?: boolean;
  /** What it must be. */
  readonly diffId?: Digest;
  /** More, uncompressed, is a bomb. */
  readonly plainBytesMax?: number;
}

export interface LayersOptions {
  readonly records: Records;
  /** Told of what nobody can take away. */
  readonly report?: (fault: Fault) => void;
}

export class Layers {
  readonly #root: string;
  readonly #index: LayerIndex;
  readonly #mounts: WritableMounts;
  readonly #leftovers: LayerLeftovers;
  readonly #outgoing: Outgoing;
  /** What the roots of stacks look like, by their topmost layer. */
  readonly #looks = new Map<ChainId | undefined, RootLook>();
  #limitsSizes: boolean | undefined;

  private constructor(root: string, { records, report }: LayersOptions) {
    this.#root = root;
    this.#index = new LayerIndex(records);
    this.#outgoing = new Outgoing(join(root, "outgoing"), (path, thrown) => report?.(leftOver(path, thrown)));
    this.#mounts = new WritableMounts(root);
    this.#leftovers = new LayerLeftovers(root, this.#index, this.#mounts);
  }

  /** Makes what is missing and removes what no record speaks of. */
  static async open(root: string, o: LayersOptions): Promise<Layers> {
    for (const name of ["layers", "writable", "skeletons", "incoming", "outgoing"])
      await makeApart(join(root, name), 0o700);
    await mkdir(join(root, scratch), { recursive: true, mode: 0o755 });
    const layers = new Layers(root, o);
    await layers.#leftovers.sweep(
      async (id) => await layers.removeWritable(id),
      o.report ?? (() => undefined),
    );
    return layers;
  }

  get(chainId: ChainId): LayerRecord | undefined {
    return this.#index.find(chainId);
  }

  list(): LayerRecord[] {
    return this.#index.list();
  }

  /** Whether a layer up to `top` may have files that are other names of files elsewhere. @throws Fault `not-found`. */
  sharesFiles(top: ChainId | undefined): boolean {
    return this.#index.stack(top).some((layer) => layer.sharesFiles === true);
  }

  writables(): WritableRecord[] {
    return this.#index.writables();
  }

  /**
   * Unpacks a tar, plain or compressed, as a layer above `parent`. Idempotent: an equal layer is the same one. On any
   * failure nothing is left.
   * @throws Fault `invalid` for a damaged or hostile tar or too many layers, `not-found` when the parent is gone.
   */
  async apply(
    parent: ChainId | undefined,
    tar: AsyncIterable<Uint8Array>,
    o: Cancellable & ApplyOptions = {},
  ): Promise<LayerRecord> {
    const plain = await decompress(tar);
    const bytes = o.plainBytesMax === undefined ? plain.bytes : bounded(plain.bytes, o.plainBytesMax);
    return await this.#add(parent, o, async (directory, lower) => {
      const { signal, endRequired = false } = o;
      const made = await unpackLayer(bytes, directory, lower, { signal, endRequired });
      if (o.diffId !== undefined && made.diffId !== o.diffId)
        throw new Fault(
          "invalid",
          `layer ${o.diffId} is really ${made.diffId}: its config or its archive is wrong`,
        );
      return made;
    });
  }

  async #add(
    parent: ChainId | undefined,
    o: Cancellable,
    fill: (directory: string, lower: LowerTree) => Promise<UnpackedLayer>,
  ): Promise<LayerRecord> {
    o.signal?.throwIfAborted();
    if (this.#index.stack(parent).length >= layersMax)
      throw new Fault(
        "invalid",
        `max depth exceeded: an image can have ${layersMax} layers; squash the one below`,
      );
    const directory = this.#incoming();
    mkdirSync(directory, { mode: 0o700 });
    try {
      using lower = this.#lower(parent);
      const made = await fill(directory, lower);
      return this.#keep(directory, parent, made);
    } catch (error) {
      throw explainFull(error, this.#root);
    } finally {
      await discardTree(directory);
    }
  }

  /** The name, then the record: what is named but not recorded is swept. */
  #keep(directory: string, parent: ChainId | undefined, made: UnpackedLayer): LayerRecord {
    const chainId = chainIdOf(parent, made.diffId);
    const known = this.#index.find(chainId);
    if (known !== undefined) return known;
    if (parent !== undefined) this.#index.get(parent);
    renameSync(directory, this.#layerPath(chainId));
    const record = { chainId, ...(parent !== undefined && { parent }), ...made };
    this.#index.put(record);
    return record;
  }

  /**
   * Writes the record of a writable layer, and no more: for who has other records to write in the same transaction.
   * Idempotent. @throws Fault `not-found` without the parent.
   */
  claimWritable(id: string, parent: ChainId | undefined, o: { readonly skeleton?: boolean } = {}): void {
    if (!writableId.test(id)) throw new Fault("internal", `${JSON.stringify(id)} cannot name a layer`);
    if (this.#index.findWritable(id) !== undefined) return;
    if (parent !== undefined) this.#index.get(parent);
    const { skeleton = false } = o;
    this.#index.putWritable({ id, ...(parent !== undefined && { parent }), skeleton });
  }

  /** Whether the file system keeps limits of writable layers. */
  limitsSizes(): boolean {
    this.#limitsSizes ??= keepsProjectQuotas(this.#root);
    return this.#limitsSizes;
  }

  /**
   * A layer for changes above `parent`, or above nothing. Idempotent. `skeleton`: with containers' mount points.
   * `bytesMax` limits what the changes may hold, where `limitsSizes()`. @throws Errno where they cannot be limited.
   */
  async createWritable(
    id: string,
    parent: ChainId | undefined,
    o: { readonly skeleton?: boolean; readonly bytesMax?: number | undefined } = {},
  ): Promise<void> {
    this.claimWritable(id, parent, o);
    if (existsSync(this.#writableDirectory(id))) return;
    if (o.skeleton === true) this.#ensureSkeleton(parent);
    const directory = join(this.#root, "writable", `.${randomBytes(12).toString("hex")}`);
    mkdirSync(directory, { mode: 0o700 });
    // Before anything is in it: what is made there counts.
    if (o.bytesMax !== undefined) limitDirectory(directory, o.bytesMax, id);
    for (const name of [kept.work, kept.merged]) mkdirSync(join(directory, name), { mode: 0o700 });
    this.#makeUpper(join(directory, kept.upper), parent);
    renameSync(directory, this.#writableDirectory(id));
  }

  /** A root that looks like the one below. */
  #makeUpper(path: string, parent: ChainId | undefined): void {
    mkdirSync(path, { mode: 0o755 });
    const { uid, gid, mode } = this.#rootLook(parent);
    if (uid !== 0 || gid !== 0) chownSync(path, uid, gid);
    chmodSync(path, mode & 0o7777);
  }

  /** Layers never change: one look is enough. */
  #rootLook(parent: ChainId | undefined): RootLook {
    const known = this.#looks.get(parent);
    if (known !== undefined) return known;
    using lower = this.#lower(parent);
    const { uid, gid, mode } = rootOf(lower) ?? plainRoot;
    const look = { uid, gid, mode };
    this.#looks.set(parent, look);
    return look;
  }

  #ensureSkeleton(parent: ChainId | undefined): void {
    const path = this.#skeletonPath(parent);
    if (existsSync(path)) return;
    const making = this.#incoming();
    using lower = this.#lower(parent);
    makeSkeleton(making, lower);
    renameSync(making, path);
  }

  /** Mounts a writable layer and what is below it. Idempotent. @returns The root of the file system. */
  mount(id: string, o: MountOptions = {}): string {
    const paths = this.paths(id);
    this.#mounts.mount(paths, o);
    return paths.merged;
  }

  /**
   * The same file system to look into and to write to, without mounting it where it is not mounted. Unmounting, removing
   * and mounting again are not in the way. @throws Fault `not-found`.
   */
  hold(id: string): HeldRoot {
    return this.#mounts.hold(this.paths(id));
  }

  /** The same for its path instead of a descriptor. @throws Fault `not-found`. */
  look(id: string): Disposable & { readonly path: string } {
    return this.#mounts.look(this.paths(id));
  }

  /** Where the parts of a writable layer are, the lower ones top first. @throws Fault `not-found`. */
  paths(id: string): OverlayPaths {
    const { parent, skeleton } = this.#index.writable(id);
    const layers = this.#lowerPaths(parent);
    const lower = skeleton ? [this.#skeletonPath(parent), ...layers] : layers;
    const directory = this.#writableDirectory(id);
    return {
      lower: lower.length > 0 ? lower : [join(this.#root, scratch)],
      upper: join(directory, kept.upper),
      work: join(directory, kept.work),
      merged: join(directory, kept.merged),
    };
  }

  /** Idempotent. */
  unmount(id: string): void {
    this.#mounts.unmount(join(this.#writableDirectory(id), kept.merged));
  }

  /** The directory with the changes alone, in overlayfs's form. */
  writablePath(id: string): string {
    return join(this.#writableDirectory(id), kept.upper);
  }

  /**
   * The changes as a layer. With `consume` they are moved, the writable layer is gone afterwards, whatever happens;
   * otherwise copied, also while they go on changing.
   */
  async commit(id: string, o: Cancellable & { readonly consume?: boolean } = {}): Promise<LayerRecord> {
    const { parent } = this.#index.writable(id);
    if (o.consume !== true)
      return await this.#add(parent, o, (directory, lower) =>
        unpackLayer(treeTar(this.writablePath(id), rootOf(lower), o), directory, lower, {
          signal: o.signal,
          endRequired: true,
        }),
      );
    try {
      this.unmount(id);
      return await this.#add(parent, o, (directory, lower) => {
        renameSync(this.writablePath(id), join(directory, layerNames.files));
        return sealLayer(directory, rootOf(lower), o);
      });
    } finally {
      await this.removeWritable(id);
    }
  }

  /** All that the layers up to `top` show, as one layer that stands on none. Idempotent. @throws Fault `not-found`. */
  async flatten(top: ChainId, o: Cancellable = {}): Promise<LayerRecord> {
    const place = this.#incoming();
    mkdirSync(place, { mode: 0o700 });
    try {
      using shown = openLayers([...this.#lowerPaths(top), join(this.#root, scratch)], place);
      return await this.apply(undefined, treeTar(shown.path, plainRoot, o), { ...o, endRequired: true });
    } finally {
      await discardTree(place);
    }
  }

  /** Unmounts first. Idempotent. */
  async removeWritable(id: string): Promise<void> {
    this.unmount(id);
    const directory = this.#writableDirectory(id);
    const doomed = this.#incoming();
    if (existsSync(directory)) {
      if (this.limitsSizes()) unlimitDirectory(directory);
      renameSync(directory, doomed);
    }
    this.#index.deleteWritable(id);
    await discardTree(doomed);
  }

  /** False when there is none. Its files may leave the disk a little later. @throws Fault `conflict` while something stands on it. */
  async remove(chainId: ChainId): Promise<boolean> {
    if (this.#index.find(chainId) === undefined) return false;
    const user = this.#index.userOf(chainId);
    if (user !== undefined) throw new Fault("conflict", `layer ${chainId} is in use by ${user}`);
    this.#index.delete(chainId);
    this.#looks.delete(chainId);
    for (const path of [this.#layerPath(chainId), this.#skeletonPath(chainId)])
      if (existsSync(path)) await this.#outgoing.take(path);
    return true;
  }

  /** Resolves when all layers removed so far are off the disk. */
  async removed(): Promise<void> {
    await this.#outgoing.settled();
  }

  /** The uncompressed tar: exactly the bytes whose digest is the layer's `diffId`, in parts that are lent. @throws Fault `not-found` at once. */
  tar(chainId: ChainId, o: Cancellable = {}): AsyncIterable<Uint8Array> {
    this.#index.get(chainId);
    return layerTar(this.#layerPath(chainId), o);
  }

  /** What differs from the layers below, as `docker diff` lists it. */
  async *changes(id: string, o: Cancellable = {}): AsyncGenerator<Change> {
    const { parent, skeleton } = this.#index.writable(id);
    using upper = Beneath.open(this.writablePath(id));
    const paths = this.#lowerPaths(parent);
    using lower = new LowerTree(skeleton ? [this.#skeletonPath(parent), ...paths] : paths);
    const breath = new Breath(o.signal);
    for (const change of upperChanges(upper, lower)) {
      yield change;
      if (breath.due) await breath.take();
    }
  }

  /** Bytes the changes take up, each hard-linked file once. */
  async usage(id: string, o: Cancellable = {}): Promise<number> {
    this.#index.writable(id);
    return await diskUsage(this.writablePath(id), o);
  }

  /** Whether a recorded writable layer is on disk. */
  hasWritable(id: string): boolean {
    return existsSync(this.writablePath(id));
  }

  /** Whether it is mounted in its place. */
  isMounted(id: string): boolean {
    return this.#mounts.isMounted(join(this.#writableDirectory(id), kept.merged));
  }

  /** What is missing of a writable layer, without changes. Idempotent. @throws Fault `not-found`. */
  async remakeWritable(id: string): Promise<void> {
    const { parent, skeleton } = this.#index.writable(id);
    const directory = this.#writableDirectory(id);
    if (!existsSync(directory)) return await this.createWritable(id, parent, { skeleton });
    for (const name of [kept.work, kept.merged])
      mkdirSync(join(directory, name), { recursive: true, mode: 0o700 });
    if (!existsSync(this.writablePath(id))) this.#makeUpper(this.writablePath(id), parent);
  }

  /** Whoever mounted it. For a layer that nobody uses. Idempotent. */
  unmountStray(id: string): void {
    this.#mounts.unmountStray(join(this.#writableDirectory(id), kept.merged));
  }

  /** Directories of layers that no record speaks of; there are none but for tampering. */
  strays(): string[] {
    return this.#leftovers.strays();
  }

  /** One of `strays`. Idempotent. */
  async removeStray(path: string): Promise<void> {
    await this.#leftovers.removeStray(path);
  }

  #lower(parent: ChainId | undefined): LowerTree {
    return new LowerTree(this.#lowerPaths(parent));
  }

  #lowerPaths(parent: ChainId | undefined): string[] {
    return this.#index.stack(parent).map(({ chainId }) => join(this.#layerPath(chainId), layerNames.files));
  }

  #layerPath(chainId: ChainId): string {
    return join(this.#root, "layers", encodedDigest(chainId));
  }

  #skeletonPath(parent: ChainId | undefined): string {
    return join(this.#root, "skeletons", parent === undefined ? scratch : encodedDigest(parent));
  }

  #writableDirectory(id: string): string {
    return join(this.#root, "writable", id);
  }

  #incoming(): string {
    return incomingPath(this.#root);
  }
}

/** A root that goes without saying. */
const plainRoot = { mode: fileKind.directory | 0o755, uid: 0, gid: 0 };

function rootOf(lower: LowerTree): FileStat | undefined {
  return lower.lookup(bytePath(""))?.stat;
}
