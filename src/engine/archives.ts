/**
 * Files in and out of containers, running or not.
 * Owns: what is opened for the time of one copy. Promises: nothing is mounted for it and nothing stays open, however a
 * copy ends; a container's links, also ones it makes while it is looked at, lead nowhere but into itself.
 * Never: changes a record.
 */
import type { ContainerRecord, MountPoint } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
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
import type { ContainerIndex } from "./container-index.ts";
import type { Emit } from "./emit.ts";
import { containerAttributes } from "./event-attributes.ts";
import { imageMounts } from "./image-mounts.ts";
import type { Launch } from "./launch.ts";
import { isLive } from "./lifecycle.ts";
import type { LayerPart, RuntimePart, VolumePart, Waiting } from "./parts.ts";

export interface ArchivesParts {
  readonly index: ContainerIndex;
  readonly layers: Pick<LayerPart, "hold" | "look" | "changes">;
  readonly volumes: Pick<VolumePart, "tree" | "hold" | "unmount">;
  readonly runtime: Pick<RuntimePart, "openRoot" | "userOf">;
  readonly launch: Pick<Launch, "files">;
  readonly emit: Emit;
}

export interface WriteOptions extends Waiting {
  readonly path: string;
  /** Refuses to replace a directory by a file and the other way round. */
  readonly keepKinds: boolean;
  /** Everything becomes the container's user's. */
  readonly asUser: boolean;
}

export class Archives {
  readonly #parts: ArchivesParts;
  #looks = 0;

  constructor(parts: ArchivesParts) {
    this.#parts = parts;
  }

  /** @throws Fault `not-found` in Docker's words. */
  async stat(reference: string, path: string, o: Waiting): Promise<PathDescription> {
    await using view = await this.#view(reference, o);
    return describePath(found(statTreePath(view.tree, path), reference, path));
  }

  /** What is at a path with all below it, as a tar. Nothing is held before it is read. */
  async read(
    reference: string,
    path: string,
    o: Waiting,
  ): Promise<{ readonly stat: PathDescription; readonly tar: AsyncIterable<Uint8Array> }> {
    const stat = await this.stat(reference, path, o);
    return { stat, tar: this.#tar(reference, path, o) };
  }

  async *#tar(reference: string, path: string, o: Waiting): AsyncGenerator<Uint8Array> {
    await using view = await this.#view(reference, o);
    const { place, path: parsed } = found(statTreePath(view.tree, path), reference, path);
    this.#emit("archive-path", view.record);
    yield* archiveTree(view.tree, { start: place, name: parsed.name, signal: o.signal });
  }

  /** The whole root file system as a tar, without what is mounted in it. @throws Fault `not-found` at once. */
  export(reference: string, o: Waiting): AsyncIterable<Uint8Array> {
    return this.#export(this.#parts.index.get(reference).id, o);
  }

  async *#export(id: string, o: Waiting): AsyncGenerator<Uint8Array> {
    await using view = await this.#view(id, { ...o, bare: true });
    this.#emit("export", view.record);
    yield* archiveTree(view.tree, { ...wholeRoot, signal: o.signal });
  }

  /**
   * Unpacks a tar, plain or compressed, into a directory.
   * @throws Fault `not-found`, `invalid`, `denied` for what is read-only, all in Docker's words.
   */
  async write(reference: string, tar: AsyncIterable<Uint8Array>, o: WriteOptions): Promise<void> {
    const plain = await decompress(tar);
    await using view = await this.#view(reference, { signal: o.signal, writing: true });
    const directory = directoryAt(view.tree, o.path);
    if (directory === undefined) throw absent(reference, o.path);
    const { record, tree } = view;
    const part = tree.partOf(directory);
    if (part === undefined && record.host.ReadonlyRootfs === true)
      throw new Fault("denied", "container rootfs is marked read-only");
    if (part?.readOnly === true) throw new Fault("denied", "mounted volume is marked read-only");
    const asUser = o.asUser && record.config.User ? record.config.User : undefined;
    const owner = asUser === undefined ? undefined : this.#parts.runtime.userOf(tree, asUser);
    await unpackIntoTree(plain.bytes, tree, {
      directory,
      keepKinds: o.keepKinds,
      owner: owner === undefined ? undefined : { uid: owner.uid, gid: owner.gid },
      signal: o.signal,
    });
    this.#emit("extract-to-dir", record);
  }

  changes(reference: string, o: Waiting): ReturnType<LayerPart["changes"]> {
    return this.#parts.layers.changes(this.#parts.index.get(reference).id, o);
  }

  /** A container's files, held. `bare`: without what is mounted in its root. */
  async #view(reference: string, o: Waiting & { readonly bare?: boolean; readonly writing?: boolean }) {
    const { index, launch, layers, runtime } = this.#parts;
    const record = index.get(reference);
    await using stack = new AsyncDisposableStack();
    const held = stack.use(layers.hold(record.id));
    const seen =
      o.bare === true
        ? { mounts: [] }
        : {
            mounts: await this.#mounts(record, o.signal, stack),
            files: record.run === 0 ? undefined : launch.files(record.id),
            live: isLive(record) ? runtime.openRoot(record.id) : undefined,
          };
    const request = { root: held.descriptor, host: record.host, writing: o.writing === true, ...seen };
    const tree = stack.use(this.#parts.volumes.tree(request));
    const kept = stack.move();
    return { record, tree, [Symbol.asyncDispose]: async () => await kept.disposeAsync() };
  }

  /** Its mounts, each where it can be opened for as long as `stack` is not disposed. */
  async #mounts(
    record: ContainerRecord,
    signal: AbortSignal,
    stack: AsyncDisposableStack,
  ): Promise<MountPoint[]> {
    const { layers, volumes } = this.#parts;
    const user = `look-${this.#looks++}`;
    stack.defer(async () => await volumes.unmount(user, record.mounts));
    const held = await volumes.hold(user, record.mounts, signal);
    const images = new Map(imageMounts(record).map(({ mount, layer }) => [mount.destination, layer]));
    return held.map((mount) => {
      const layer = images.get(mount.destination);
      return layer === undefined ? mount : { ...mount, source: stack.use(layers.look(layer)).path };
    });
  }

  #emit(action: string, record: ContainerRecord): void {
    this.#parts.emit("container", action, record.id, containerAttributes(record));
  }
}

/** Names in an export have no slash in front, and the root itself is not in it. */
const wholeRoot = { start: parseTreePath("/").path, name: undefined };

function found(seen: PathStat | undefined, reference: string, path: string): PathStat {
  if (seen === undefined) throw absent(reference, path);
  return seen;
}

function absent(reference: string, path: string): Fault {
  return new Fault("not-found", `Could not find the file ${path} in container ${reference}`);
}
