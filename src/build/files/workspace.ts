/**
 * Writable layers a build works on between two images.
 * Owns: their names in the records, so that what a dead engine left is found and removed.
 * Promises: disposing removes the layer, mount included, whether or not it was committed.
 */
import { randomBytes } from "node:crypto";
import type { ChainId, Digest } from "#spec/digest.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { Records, Table } from "#store/records.ts";
import { accountFiles } from "./account-files.ts";
import { directoryOwner } from "./ownership.ts";
import { makeDirectories } from "./place.ts";
import { resolveInRoot } from "./rooted-path.ts";

/** A new layer above its parent. */
export interface NewLayer {
  readonly chainId: ChainId;
  readonly diffId: Digest;
}

/** The digest of a tar with no entries: 1024 zero bytes. A layer that has it changes nothing and belongs to no image. */
export const emptyDiffId = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

export interface CommitOptions {
  readonly signal: AbortSignal;
  /** Touches up the directory of the changes, which is no longer mounted. */
  readonly settle?: ((changes: string) => void | Promise<void>) | undefined;
  /** A layer also when nothing was changed. */
  readonly always?: boolean;
}

export interface Workspace extends AsyncDisposable {
  /** The root file system on the host, mounted. */
  readonly root: string;
  /** What was changed as a layer, or undefined when nothing was. The workspace is used up. */
  commit(o: CommitOptions): Promise<NewLayer | undefined>;
}

export class Workspaces {
  readonly #layers: Layers;
  readonly #names: Table<{ readonly parent: ChainId | null }>;

  constructor(layers: Layers, records: Records) {
    this.#layers = layers;
    this.#names = records.table("build-workspaces");
  }

  /** The file system of `parent` (undefined for an empty one) to look at and to change. */
  async acquire(parent: ChainId | undefined): Promise<Workspace> {
    const id = `build-${randomBytes(16).toString("hex")}`;
    this.#names.put(id, { parent: parent ?? null });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => this.#release(id));
    await this.#layers.createWritable(id, parent);
    const root = this.#layers.mount(id, { brief: true });
    const held = stack.move();
    return {
      root,
      commit: (o) => this.#commit(id, o),
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  }

  /** See {@link Layers.sharesFiles}. */
  sharesFiles(top: ChainId | undefined): boolean {
    return this.#layers.sharesFiles(top);
  }

  /** `path` as a directory above `parent`, root's, mode 0755; undefined when it is there. @throws Fault `invalid`. */
  async makeDirectory(
    parent: ChainId | undefined,
    path: string,
    o: CommitOptions & { readonly user: string },
  ): Promise<NewLayer | undefined> {
    await using workspace = await this.acquire(parent);
    const host = resolveInRoot(workspace.root, path);
    const owner = directoryOwner(o.user, accountFiles(workspace.root));
    if (!makeDirectories(workspace.root, host, owner) && o.always !== true) return undefined;
    return await workspace.commit(o);
  }

  /** Removes what an engine that died left behind. Idempotent. */
  async sweep(): Promise<void> {
    for (const [id] of this.#names.entries()) await this.#release(id);
  }

  async #commit(id: string, o: CommitOptions): Promise<NewLayer | undefined> {
    if (o.always !== true && !(await this.#changed(id))) return undefined;
    this.#layers.unmount(id);
    await o.settle?.(this.#layers.writablePath(id));
    return await this.#layers.commit(id, { consume: true, signal: o.signal });
  }

  async #changed(id: string): Promise<boolean> {
    for await (const _ of this.#layers.changes(id)) return true;
    return false;
  }

  /** A layer's changes laid upon another file system. */
  async lay(layer: NewLayer, parent: ChainId | undefined, signal: AbortSignal): Promise<NewLayer> {
    if (parent === undefined) return layer;
    return await this.#layers.apply(parent, this.#layers.tar(layer.chainId, { signal }), { signal });
  }

  async #release(id: string): Promise<void> {
    await this.#layers.removeWritable(id);
    this.#names.delete(id);
  }
}
