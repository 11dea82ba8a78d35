/**
 * Files in and out of containers, running or not.
 * Owns: what is opened for the time of one copy. Promises: nothing is mounted for it and nothing stays open, however a
 * copy ends; a container's links, also ones it makes while it is looked at, lead nowhere but into itself.
 * Never: changes a record.
 */

import type { Emit } from "#engine/emit.ts";
import { containerAttributes } from "#engine/event-attributes.ts";
import type { ContainerIndex } from "#engine/lifecycle/container-index.ts";
import { imageMounts } from "#engine/lifecycle/image-mounts.ts";
import type { Launch } from "#engine/lifecycle/launch.ts";
import { isLive } from "#engine/lifecycle/lifecycle.ts";
import type { LayerPart, RuntimePart, VolumePart, Waiting } from "#engine/parts.ts";
import type { ContainerRecord, MountPoint } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { archiveTree } from "#store/trees/tree-archive.ts";
import {
  type TreeDirectory,
  TreeFiles,
  type TreeView,
  type TreeWriteOptions,
} from "#store/trees/tree-files.ts";
import { parseTreePath } from "#store/trees/tree-path.ts";

export interface ArchivesParts {
  readonly index: ContainerIndex;
  readonly layers: Pick<LayerPart, "hold" | "look" | "changes">;
  readonly volumes: Pick<VolumePart, "tree" | "hold" | "unmount">;
  readonly runtime: Pick<RuntimePart, "openRoot" | "userOf">;
  readonly launch: Pick<Launch, "files">;
  readonly emit: Emit;
}

interface ContainerView extends TreeView {
  readonly record: ContainerRecord;
}

export class Archives extends TreeFiles<ContainerView> {
  readonly #parts: ArchivesParts;
  #looks = 0;

  constructor(parts: ArchivesParts) {
    super();
    this.#parts = parts;
  }

  /** The whole root file system as a tar, without what is mounted in it. @throws Fault `not-found` at once. */
  export(reference: string, o: Waiting): AsyncIterable<Uint8Array> {
    return this.#export(this.#parts.index.get(reference).id, o);
  }

  async *#export(id: string, o: Waiting): AsyncGenerator<Uint8Array> {
    await using view = await this.open(id, { ...o, writing: false, bare: true });
    this.#emit("export", view.record);
    yield* archiveTree(view.tree, { ...wholeRoot, signal: o.signal });
  }

  protected override reading({ record }: ContainerView): void {
    this.#emit("archive-path", record);
  }

  /** @throws Fault `denied` for what is read-only, in Docker's words. */
  protected writing({ record, tree }: ContainerView, directory: TreeDirectory, o: TreeWriteOptions) {
    const part = tree.partOf(directory);
    if (part === undefined && record.host.ReadonlyRootfs === true)
      throw new Fault("denied", "container rootfs is marked read-only");
    if (part?.readOnly === true) throw new Fault("denied", "mounted volume is marked read-only");
    const { User: user } = record.config;
    if (!o.asUser || !user) return undefined;
    const { uid, gid } = this.#parts.runtime.userOf(tree, user);
    return { uid, gid };
  }

  protected override written({ record }: ContainerView): void {
    this.#emit("extract-to-dir", record);
  }

  changes(reference: string, o: Waiting): ReturnType<LayerPart["changes"]> {
    return this.#parts.layers.changes(this.#parts.index.get(reference).id, o);
  }

  /** A container's files, held. `bare`: without what is mounted in its root. */
  protected async open(
    reference: string,
    o: Waiting & { readonly writing: boolean; readonly bare?: boolean },
  ): Promise<ContainerView> {
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
    const request = { root: held.descriptor, host: record.host, writing: o.writing, ...seen };
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

  protected absent(reference: string, path: string): Fault {
    return new Fault("not-found", `Could not find the file ${path} in container ${reference}`);
  }

  #emit(action: string, record: ContainerRecord): void {
    this.#parts.emit("container", action, record.id, containerAttributes(record));
  }
}

/** Names in an export have no slash in front, and the root itself is not in it. */
const wholeRoot = { start: parseTreePath("/").path, name: undefined };
