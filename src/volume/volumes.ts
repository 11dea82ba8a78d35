/**
 * Volumes: files that outlive containers, kept by a driver.
 * Owns: the records of them. Promises: a record is written before its driver makes anything; a volume that a container
 * uses is not removed.
 */
import { existsSync, readdirSync } from "node:fs";
import { posix } from "node:path";
import type { Finding } from "#spec/check.ts";
import type {
  ContainerConfig,
  ContainerRecord,
  HostConfig,
  MountPoint,
  ReadyMount,
} from "#spec/container.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { anonymousLabel } from "#spec/docker-volume.ts";
import { Fault } from "#spec/fault.ts";
import { checkUnprotected, isProtected, withProtection } from "#spec/protection.ts";
import type { Table } from "#store/records.ts";
import { checkSource } from "./bind-source.ts";
import { type ContainerTree, type ContainerTreeRequest, openContainerTree } from "./container-tree.ts";
import { LocalDriver } from "./local-driver.ts";
import { invalidName, isVolumeName, type PlannedMount, parentsFirst, planMounts } from "./plan-mounts.ts";
import { pluginVolumes } from "./plugin-volumes.ts";
import { Plugins } from "./plugins.ts";
import { PreparedMounts } from "./prepared-mounts.ts";
import { Trash, type TrashOptions } from "./trash.ts";
import { adopted, checkVolumes } from "./volume-check.ts";
import { VolumeCopies } from "./volume-copies.ts";
import type { VolumeDriver } from "./volume-driver.ts";
import { VolumeFiles } from "./volume-files.ts";
import { type MountRequestOptions, VolumeMounts } from "./volume-mounts.ts";
import type { VolumeRecord, VolumesParts } from "./volume-record.ts";
import { mountsFrom } from "./volumes-from.ts";

type ImageOf = (reference: string) => { readonly id: Digest; readonly chainId?: ChainId };

export class Volumes implements Disposable {
  readonly #parts: VolumesParts;
  readonly #table: Table<VolumeRecord>;
  readonly #local: LocalDriver;
  readonly #plugins: Plugins;
  readonly #mounts: VolumeMounts;
  readonly #prepared: PreparedMounts;
  readonly files: VolumeFiles;
  readonly copies: VolumeCopies;
  readonly trash: Trash;
  #looks = 0;

  private constructor(parts: VolumesParts) {
    this.#parts = parts;
    this.#table = parts.records.table("volumes");
    this.#local = new LocalDriver(parts.root);
    this.#plugins = new Plugins(parts.plugins);
    this.#prepared = new PreparedMounts(parts.mountRoot);
    this.#mounts = new VolumeMounts({
      prepared: this.#prepared,
      find: async (name) => {
        const volume = this.#table.get(name);
        return volume && { volume, driver: await this.#driver(volume.driver) };
      },
      moved: (name, mountpoint) => {
        const volume = this.#table.get(name);
        if (volume !== undefined) this.#table.put(name, { ...volume, mountpoint });
      },
    });
    this.files = new VolumeFiles({ hold: async (name, o) => await this.#look(name, o) });
    this.trash = new Trash({
      ...{ ...parts, volumes: this.#table, local: this.#local, keptMs: parts.trashMs },
    });
    this.copies = new VolumeCopies({
      ...{ ...parts, table: this.#table, local: this.#local, files: this.files },
      get: (name) => this.get(name),
      create: async (o) => await this.create(o),
      drop: async (record) => await this.#drop(record, { force: true, now: true }),
    });
  }

  /** A volume's files where they are now, for somebody who is no container. */
  async #look(name: string, o: { readonly signal: AbortSignal }) {
    const volume = this.get(name);
    const driver = await this.#driver(volume.driver);
    const user = `look-${this.#looks++}`;
    const path = await driver.mount(volume, user, o.signal);
    return { path, [Symbol.asyncDispose]: async () => await driver.unmount(volume, user) };
  }

  static async open(parts: VolumesParts): Promise<Volumes> {
    const volumes = new Volumes(parts);
    await volumes.#local.open();
    await volumes.trash.open();
    await volumes.copies.open();
    await volumes.#adopt();
    for (const { name, driver, options } of volumes.#table.list())
      if (driver === volumes.#local.name) await volumes.#local.create(name, options);
    return volumes;
  }

  /** Files whose records were lost are volumes again, as Docker has it. */
  async #adopt(): Promise<void> {
    for (const name of await this.#local.directories()) {
      if (!isVolumeName(name) || this.#table.get(name) !== undefined) continue;
      if (!existsSync(this.#local.place(name))) continue;
      this.#table.put(name, adopted(name, this.#local));
      const what = `the directory of a volume ${name} belonged to no record: it is a volume again`;
      this.#parts.report(new Fault("conflict", what));
    }
  }

  /** Records against disk and mounts. `isKnown` tells ids of containers. */
  findings(o: {
    readonly isKnown: (id: string) => boolean;
    readonly looked: () => void;
  }): AsyncIterable<Finding> {
    const { root } = this.#parts;
    const parts = {
      root,
      table: this.#table,
      local: this.#local,
      trash: this.trash,
      prepared: this.#prepared,
    };
    return checkVolumes({ ...parts, ...o });
  }

  async #driver(name: string): Promise<VolumeDriver> {
    return name === this.#local.name ? this.#local : await this.#plugins.driver(name);
  }

  list(): VolumeRecord[] {
    return this.#table.list();
  }

  /** With what plugins keep that was not made here; one that does not answer in time is a warning. */
  async listAll(o: { readonly signal: AbortSignal }) {
    const known = this.#table.list();
    const others = await pluginVolumes(this.#plugins, new Set(known.map(({ name }) => name)), o.signal);
    return { volumes: [...known, ...others.volumes], warnings: others.warnings };
  }

  /** @throws Fault `not-found`. */
  get(name: string): VolumeRecord {
    const record = this.#table.get(name);
    if (record === undefined) throw new Fault("not-found", `get ${name}: no such volume`);
    return record;
  }

  /** Idempotent by name; without one, an anonymous volume is made. @throws Fault `invalid`. */
  async create(o: {
    readonly name?: string | undefined;
    readonly driver?: string | undefined;
    readonly options?: Readonly<Record<string, string>> | undefined;
    readonly labels?: Readonly<Record<string, string>> | undefined;
  }): Promise<VolumeRecord> {
    const anonymous = o.name === undefined || o.name === "";
    const name = anonymous ? this.#parts.randomHex(32) : (o.name ?? "");
    if (!isVolumeName(name)) throw invalidName(name);
    const known = this.#table.get(name);
    const wanted = o.driver || known?.driver || this.#local.name;
    if (known !== undefined && known.driver !== wanted)
      throw new Fault(
        "conflict",
        `a volume named ${name} already exists with the ${known.driver} driver: choose a different name`,
      );
    return await explained(`create ${name}: `, async () => {
      const driver = await this.#driver(wanted);
      if (known !== undefined) return known;
      const options = { ...o.options };
      driver.check?.(options);
      const labels = { ...o.labels, ...(anonymous && { [anonymousLabel]: "" }) };
      return await this.#make({ name, driver, options, labels });
    });
  }

  async #make(o: {
    readonly name: string;
    readonly driver: VolumeDriver;
    readonly options: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
  }): Promise<VolumeRecord> {
    const { name, driver, options, labels } = o;
    const record: VolumeRecord = {
      ...{ name, driver: driver.name, created: this.#parts.now(), options, labels },
      mountpoint: driver.place?.(name) ?? "",
    };
    this.#table.put(name, record);
    try {
      await driver.create(name, options);
    } catch (error) {
      this.#table.delete(name);
      throw error;
    }
    this.#parts.emit("create", name, { driver: driver.name });
    return record;
  }

  /**
   * Into the trash, where its driver keeps files of this engine's own.
   * @throws Fault `not-found` without `force`, `conflict` while a container uses it.
   */
  async remove(name: string, o: TrashOptions & { readonly force: boolean }): Promise<void> {
    const record = this.#table.get(name);
    if (record === undefined) {
      if (o.force) return;
      throw new Fault("not-found", `get ${name}: no such volume`);
    }
    const users = this.#parts.usersOf(name);
    if (users.length > 0)
      throw new Fault("conflict", `remove ${name}: volume is in use - [${users.join(", ")}]`);
    checkUnprotected({ kind: "volume", name }, record.labels);
    await this.#drop(record, o);
  }

  /** With `force` the record goes also when its driver is away. */
  async #drop(record: VolumeRecord, o: TrashOptions & { readonly force: boolean }): Promise<void> {
    const { name, driver } = record;
    await explained(`remove ${name}: `, async () => {
      if (driver === this.#local.name) await this.trash.put(record, o);
      else await this.#dropDriven(record, o.force);
    });
    this.#parts.emit("destroy", name, { driver });
  }

  async #dropDriven({ name, driver }: VolumeRecord, force: boolean): Promise<void> {
    try {
      await (await this.#plugins.driver(driver)).remove(name);
    } catch (error) {
      if (!force) throw error;
    }
    this.#table.delete(name);
  }

  /** A protected one is not removed. @throws Fault `not-found`. */
  protect(name: string, on: boolean): void {
    const record = this.get(name);
    this.#table.put(name, { ...record, labels: withProtection(record.labels, on) });
  }

  /** See `Trash.restore`. */
  undo(o: { readonly what?: string | undefined; readonly name?: string | undefined }): VolumeRecord[] {
    if (o.name !== undefined && !isVolumeName(o.name)) throw invalidName(o.name);
    const restored = this.trash.restore(o);
    for (const { name, driver } of restored) this.#parts.emit("create", name, { driver });
    return restored;
  }

  /** Decides a container's mounts and makes the volumes they name. @throws Fault `invalid` in Docker's words. */
  async plan(o: {
    readonly config: ContainerConfig;
    readonly host: HostConfig;
    readonly others: (reference: string) => ContainerRecord;
    readonly image: ImageOf;
  }): Promise<MountPoint[]> {
    const inherited = mountsFrom(o.host.VolumesFrom ?? [], o.others);
    const planned = planMounts(o.config, o.host, new Set(inherited.map(({ destination }) => destination)));
    for (const mount of planned)
      if (mount.type === "bind") await checkSource(mount.source ?? "", mount.createSource);
    const mounts: MountPoint[] = [];
    for (const mount of planned) mounts.push(await this.#mountPoint(mount, o.image));
    const taken = new Set([
      ...mounts.map(({ destination }) => destination),
      ...Object.keys(o.host.Tmpfs ?? {}).map((path) => posix.normalize(path)),
    ]);
    mounts.push(...inherited.filter(({ destination }) => !taken.has(destination)));
    return parentsFirst(mounts);
  }

  async #mountPoint(mount: PlannedMount, image: ImageOf): Promise<MountPoint> {
    const { type, destination, mode, readWrite, propagation, copyUp, subpath, idMap, source = "" } = mount;
    const shared = {
      ...{ type, source, destination, mode, readWrite, propagation, copyUp, anonymous: false },
      ...(subpath !== undefined && { subpath }),
      ...(idMap !== undefined && { idMap }),
    };
    const { createSource, recursive, readOnlyBelow } = mount;
    if (type === "bind")
      return {
        ...{ ...shared, createSource },
        ...(recursive !== undefined && { recursive }),
        ...(readOnlyBelow !== undefined && { readOnlyBelow }),
      };
    if (type === "tmpfs") return shared;
    if (type === "image") return { ...shared, image: image(source) };
    const { name, labels, options, driver } = mount;
    const volume = await this.create({ name, labels, options, driver });
    const given = { name: volume.name, source: volume.mountpoint, driver: volume.driver };
    return { ...shared, ...given, anonymous: name === undefined };
  }

  /** See the engine's parts of these names. */
  async mount(user: string, mounts: readonly MountPoint[], o: MountRequestOptions): Promise<ReadyMount[]> {
    return await this.#mounts.mount(user, mounts, o);
  }

  async hold(user: string, mounts: readonly MountPoint[], signal: AbortSignal): Promise<MountPoint[]> {
    return await this.#mounts.hold(user, mounts, signal);
  }

  async unmount(user: string, mounts: readonly MountPoint[]): Promise<void> {
    await this.#mounts.unmount(user, mounts);
  }

  async sweep(running: ReadonlySet<string>): Promise<void> {
    await this.#mounts.sweep(running);
    this.#local.sweep();
  }

  tree(o: ContainerTreeRequest): ContainerTree {
    return openContainerTree(o);
  }

  /** Those among the mounts that nobody named, unless another container has them. Empty ones are not kept. Idempotent. */
  async removeAnonymous(mounts: readonly MountPoint[], o: TrashOptions = {}): Promise<void> {
    const removal = o.removal ?? this.trash.newRemoval();
    for (const { name, anonymous } of mounts) {
      // The container that goes is still recorded: it is one of the users.
      if (name === undefined || !anonymous || this.#parts.usersOf(name).length > 1) continue;
      const record = this.#table.get(name);
      if (record === undefined || isProtected(record.labels)) continue;
      const now = o.now === true || isEmpty(record.mountpoint);
      await this.#drop(record, { force: true, removal, now });
    }
  }

  [Symbol.dispose](): void {
    this.trash[Symbol.dispose]();
  }
}

function isEmpty(directory: string): boolean {
  try {
    return readdirSync(directory).length === 0;
  } catch {
    return false;
  }
}

/** A fault of the work, with what was tried before its sentence. */
async function explained<R>(what: string, work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (thrown) {
    const { kind, message } = Fault.from(thrown);
    throw new Fault(kind, message.startsWith(what) ? message : `${what}${message}`, { cause: thrown });
  }
}
