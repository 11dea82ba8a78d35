/**
 * The files of a volume for those who look in from outside, and whole volumes made of others.
 * Promises: a volume that is made or put back is whole or as it was before; links in it lead nowhere but into itself.
 */
import { bytePath } from "#kernel/byte-path.ts";
import { closeDescriptor, openAt, openFlag } from "#kernel/files-at.ts";
import { MountedTree } from "#kernel/mounted-tree.ts";
import { Fault } from "#spec/fault.ts";
import { copyTree } from "#store/copy-tree.ts";
import { decompress } from "#store/decompress.ts";
import { archiveTree } from "#store/tree-archive.ts";
import {
  describePath,
  directoryAt,
  type PathDescription,
  type PathStat,
  parseTreePath,
  statTreePath,
} from "#store/tree-path.ts";
import { unpackIntoTree } from "#store/tree-unpack.ts";
import { unpackTar } from "#store/unpack.ts";

interface Waiting {
  readonly signal: AbortSignal;
}

export interface VolumeFilesParts {
  /** Where the volume's files are, for as long as what it gives is not disposed. @throws Fault `not-found`. */
  readonly hold: (name: string, o: Waiting) => Promise<AsyncDisposable & { readonly path: string }>;
}

const currentDirectory = -100;

export class VolumeFiles {
  readonly #hold: VolumeFilesParts["hold"];

  constructor({ hold }: VolumeFilesParts) {
    this.#hold = hold;
  }

  /** @throws Fault `not-found`. */
  async stat(name: string, path: string, o: Waiting): Promise<PathDescription> {
    await using view = await this.#view(name, o);
    return describePath(found(statTreePath(view.tree, path), name, path));
  }

  /** What is at a path with all below it, as a tar. Nothing is held before it is read. */
  async read(
    name: string,
    path: string,
    o: Waiting,
  ): Promise<{ readonly stat: PathDescription; readonly tar: AsyncIterable<Uint8Array> }> {
    return { stat: await this.stat(name, path, o), tar: this.#tar(name, path, o) };
  }

  async *#tar(name: string, path: string, o: Waiting): AsyncGenerator<Uint8Array> {
    await using view = await this.#view(name, o);
    const { place, path: parsed } = found(statTreePath(view.tree, path), name, path);
    yield* archiveTree(view.tree, { start: place, name: parsed.name, signal: o.signal });
  }

  /** Unpacks a tar, plain or compressed, into a directory. @throws Fault `not-found`, `invalid`, `denied`. */
  async write(
    name: string,
    tar: AsyncIterable<Uint8Array>,
    o: Waiting & { readonly path: string; readonly keepKinds: boolean; readonly asUser: boolean },
  ): Promise<void> {
    if (o.asUser) throw new Fault("invalid", "copyUIDGID: a volume has no user whose its files could become");
    const plain = await decompress(tar);
    await using view = await this.#view(name, o);
    const directory = directoryAt(view.tree, o.path);
    if (directory === undefined) throw absent(name, o.path);
    await unpackIntoTree(plain.bytes, view.tree, { ...o, directory });
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

  async #view(name: string, o: Waiting): Promise<AsyncDisposable & { readonly tree: MountedTree }> {
    await using stack = new AsyncDisposableStack();
    const { path } = stack.use(await this.#hold(name, o));
    const root = openAt(currentDirectory, bytePath(path), openFlag.path | openFlag.directory);
    const tree = stack.use(new MountedTree(root, { parts: [], writing: true }));
    const kept = stack.move();
    return { tree, [Symbol.asyncDispose]: async () => await kept.disposeAsync() };
  }
}

function found(seen: PathStat | undefined, name: string, path: string): PathStat {
  if (seen === undefined) throw absent(name, path);
  return seen;
}

function absent(name: string, path: string): Fault {
  return new Fault(
    "not-found",
    `Could not find the file ${parseTreePath(path).path || "/"} in volume ${name}`,
  );
}
