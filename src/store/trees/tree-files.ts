/**
 * Files of whatever can be looked into as a tree, by paths as people write them: what `cp` asks of containers and of
 * volumes. Promises: a tree is open for one copy and closed however that ends; nothing is opened before it is read.
 */
import type { BytePath } from "#kernel/files/byte-path.ts";
import type { MountedTree } from "#kernel/files/mounted-tree.ts";
import type { Fault } from "#spec/fault.ts";
import { decompress } from "#store/tar/decompress.ts";
import { archiveTree } from "./tree-archive.ts";
import { describePath, directoryAt, type PathDescription, type PathStat, statTreePath } from "./tree-path.ts";
import { unpackIntoTree } from "./tree-unpack.ts";

interface Waiting {
  readonly signal: AbortSignal;
}

export interface TreeWriteOptions extends Waiting {
  readonly path: string;
  /** Refuses to replace a directory by a file and the other way round. */
  readonly keepKinds: boolean;
  /** Everything becomes the container's user's. */
  readonly asUser: boolean;
}

/** A directory in the tree, without links. */
export type TreeDirectory = BytePath;

/** Whose everything becomes that is unpacked. */
export interface TreeOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface TreeView extends AsyncDisposable {
  readonly tree: MountedTree;
}

export abstract class TreeFiles<View extends TreeView> {
  /** @throws Fault `not-found`. */
  protected abstract open(name: string, o: Waiting & { readonly writing: boolean }): Promise<View>;
  protected abstract absent(name: string, path: string): Fault;
  /** There is something that will be read. */
  protected reading(_view: View): void {}
  /** Before anything is written; undefined for the archive's owners. @throws Fault for what must not be written to. */
  protected abstract writing(
    view: View,
    directory: TreeDirectory,
    o: TreeWriteOptions,
  ): TreeOwner | undefined;
  protected written(_view: View): void {}

  /** @throws Fault `not-found`. */
  async stat(name: string, path: string, { signal }: Waiting): Promise<PathDescription> {
    await using view = await this.open(name, { signal, writing: false });
    return describePath(this.#found(view, name, path));
  }

  /** What is at a path with all below it, as a tar. Nothing is held before it is read. */
  async read(
    name: string,
    path: string,
    o: Waiting,
  ): Promise<{ readonly stat: PathDescription; readonly tar: AsyncIterable<Uint8Array> }> {
    return { stat: await this.stat(name, path, o), tar: this.#tar(name, path, o) };
  }

  async *#tar(name: string, path: string, { signal }: Waiting): AsyncGenerator<Uint8Array> {
    await using view = await this.open(name, { signal, writing: false });
    const { place, path: parsed } = this.#found(view, name, path);
    this.reading(view);
    yield* archiveTree(view.tree, { start: place, name: parsed.name, signal });
  }

  /** Unpacks a tar, plain or compressed, into a directory. @throws Fault `not-found`, `invalid`, `denied`. */
  async write(name: string, tar: AsyncIterable<Uint8Array>, o: TreeWriteOptions): Promise<void> {
    const { path, keepKinds, signal } = o;
    const plain = await decompress(tar);
    await using view = await this.open(name, { signal, writing: true });
    const directory = directoryAt(view.tree, path);
    if (directory === undefined) throw this.absent(name, path);
    const owner = this.writing(view, directory, o);
    await unpackIntoTree(plain.bytes, view.tree, { directory, keepKinds, owner, signal });
    this.written(view);
  }

  #found({ tree }: View, name: string, path: string): PathStat {
    const seen = statTreePath(tree, path);
    if (seen === undefined) throw this.absent(name, path);
    return seen;
  }
}
