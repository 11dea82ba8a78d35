/**
 * The files of a volume for those who look in from outside, and whole volumes made of others.
 * Promises: a volume that is made or put back is whole or as it was before; links in it lead nowhere but into itself.
 */
import { bytePath } from "#kernel/files/byte-path.ts";
import { closeDescriptor, openAt, openFlag } from "#kernel/files/files-at.ts";
import { MountedTree } from "#kernel/files/mounted-tree.ts";
import { Fault } from "#spec/fault.ts";
import { decompress } from "#store/tar/decompress.ts";
import { copyTree } from "#store/trees/copy-tree.ts";
import { TreeFiles, type TreeView, type TreeWriteOptions } from "#store/trees/tree-files.ts";
import { parseTreePath } from "#store/trees/tree-path.ts";
import { unpackTar } from "#store/trees/unpack.ts";

interface Waiting {
  readonly signal: AbortSignal;
}

export interface VolumeFilesParts {
  /** Where the volume's files are, for as long as what it gives is not disposed. @throws Fault `not-found`. */
  readonly hold: (name: string, o: Waiting) => Promise<AsyncDisposable & { readonly path: string }>;
}

const currentDirectory = -100;

export class VolumeFiles extends TreeFiles<TreeView> {
  readonly #hold: VolumeFilesParts["hold"];

  constructor({ hold }: VolumeFilesParts) {
    super();
    this.#hold = hold;
  }

  /** Unpacks a tar, plain or compressed, into the whole volume, whose own owner and mode are the archive's then. */
  async fill(name: string, tar: AsyncIterable<Uint8Array>, o: Waiting): Promise<void> {
    const plain = await decompress(tar);
    await using held = await this.#hold(name, o);
    await unpackTar(plain.bytes, held.path, o);
  }

  /** Everything of `source` into `target`, an empty directory: owners, modes, links, attributes, holes. */
  async copy(source: string, target: string, o: Waiting): Promise<void> {
    await using held = await this.#hold(source, o);
    using stack = new DisposableStack();
    const opened = (path: string): number => {
      const fd = openAt(currentDirectory, bytePath(path), openFlag.read | openFlag.directory);
      stack.defer(() => closeDescriptor(fd));
      return fd;
    };
    await copyTree(opened(held.path), opened(target), o);
  }

  protected writing(_view: TreeView, _directory: unknown, { asUser }: TreeWriteOptions): undefined {
    if (asUser) throw new Fault("invalid", "copyUIDGID: a volume has no user whose its files could become");
  }

  protected absent(name: string, path: string): Fault {
    return new Fault(
      "not-found",
      `Could not find the file ${parseTreePath(path).path || "/"} in volume ${name}`,
    );
  }

  protected async open(name: string, o: Waiting & { readonly writing: boolean }): Promise<TreeView> {
    await using stack = new AsyncDisposableStack();
    const { path } = stack.use(await this.#hold(name, o));
    const root = openAt(currentDirectory, bytePath(path), openFlag.path | openFlag.directory);
    const tree = stack.use(new MountedTree(root, { parts: [], writing: o.writing }));
    const kept = stack.move();
    return { tree, [Symbol.asyncDispose]: async () => await kept.disposeAsync() };
  }
}
