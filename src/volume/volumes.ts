/**
 * Volumes: directories that outlive containers.
 * Owns: `<root>/<name>/_data` and the records of them. Promises: a record is written before its directory is made; a
 * volume that a container uses is not removed. Never: mounts anything; the low-level runtime does.
 */
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join, posix } from "node:path";
import type { ContainerConfig, ContainerRecord, HostConfig, MountPoint } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { Records, Table } from "#store/records.ts";
import { type ContainerTree, type ContainerTreeRequest, openContainerTree } from "./container-tree.ts";
import { copyUp } from "./copy-up.ts";
import { invalidName, isVolumeName, type PlannedMount, parentsFirst, planMounts } from "./plan-mounts.ts";
import { mountsFrom } from "./volumes-from.ts";

export interface VolumeRecord {
  readonly name: string;
  readonly driver: string;
  /** RFC 3339. */
  readonly created: string;
  readonly mountpoint: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

export interface VolumesParts {
  readonly records: Records;
  readonly root: string;
  /** Ids of the containers that have a volume. */
  readonly usersOf: (name: string) => readonly string[];
  readonly emit: (action: "create" | "destroy", name: string, attributes: Record<string, string>) => void;
  readonly now: () => string;
  readonly randomHex: (bytes: number) => string;
}

/** What Docker marks volumes with that nobody named. */
const anonymousLabel = "com.docker.volume.anonymous";

export class Volumes {
  readonly #parts: VolumesParts;
  readonly #table: Table<VolumeRecord>;

  private constructor(parts: VolumesParts) {
    this.#parts = parts;
    this.#table = parts.records.table("volumes");
  }

  static async open(parts: VolumesParts): Promise<Volumes> {
    await mkdir(parts.root, { recursive: true, mode: 0o701 });
    const volumes = new Volumes(parts);
    for (const { mountpoint } of volumes.#table.list()) await makeDirectory(mountpoint);
    return volumes;
  }

  list(): VolumeRecord[] {
    return this.#table.list();
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
    if (o.driver !== undefined && o.driver !== "" && o.driver !== "local")
      throw new Fault(
        "not-found",
        `error looking up volume plugin ${o.driver}: plugin ${JSON.stringify(o.driver)} not found`,
      );
    const [option] = Object.keys(o.options ?? {});
    if (option !== undefined)
      throw new Fault(
        "unsupported",
        `create ${name}: the option ${option} of the local driver is not supported yet`,
      );
    const known = this.#table.get(name);
    if (known !== undefined) return known;
    const record: VolumeRecord = {
      name,
      driver: "local",
      created: this.#parts.now(),
      mountpoint: join(this.#parts.root, name, "_data"),
      options: {},
      labels: { ...o.labels, ...(anonymous && { [anonymousLabel]: "" }) },
    };
    this.#table.put(name, record);
    await makeDirectory(record.mountpoint);
    this.#parts.emit("create", name, { driver: "local" });
    return record;
  }

  /** @throws Fault `not-found` without `force`, `conflict` while a container uses it. */
  async remove(name: string, o: { readonly force: boolean }): Promise<void> {
    const record = this.#table.get(name);
    if (record === undefined) {
      if (o.force) return;
      throw new Fault("not-found", `get ${name}: no such volume`);
    }
    const users = this.#parts.usersOf(name);
    if (users.length > 0)
      throw new Fault("conflict", `remove ${name}: volume is in use - [${users.join(", ")}]`);
    await rm(join(this.#parts.root, name), { recursive: true, force: true });
    this.#table.delete(name);
    this.#parts.emit("destroy", name, { driver: "local" });
  }

  /** Decides a container's mounts and makes the volumes they name. @throws Fault `invalid` in Docker's words. */
  async plan(o: {
    readonly config: ContainerConfig;
    readonly host: HostConfig;
    readonly others: (reference: string) => ContainerRecord;
  }): Promise<MountPoint[]> {
    const inherited = mountsFrom(o.host.VolumesFrom ?? [], o.others);
    const planned = planMounts(o.config, o.host, new Set(inherited.map(({ destination }) => destination)));
    for (const mount of planned)
      if (mount.type === "bind") await checkSource(mount.source ?? "", mount.createSource);
    const mounts: MountPoint[] = [];
    for (const mount of planned) mounts.push(await this.#mountPoint(mount));
    const taken = new Set([
      ...mounts.map(({ destination }) => destination),
      ...Object.keys(o.host.Tmpfs ?? {}).map((path) => posix.normalize(path)),
    ]);
    mounts.push(...inherited.filter(({ destination }) => !taken.has(destination)));
    return parentsFirst(mounts);
  }

  async #mountPoint(mount: PlannedMount): Promise<MountPoint> {
    const { type, destination, mode, readWrite, propagation, copyUp: copies } = mount;
    const shared = { type, destination, mode, readWrite, propagation, copyUp: copies };
    if (type === "bind")
      return { ...shared, source: mount.source ?? "", createSource: mount.createSource, anonymous: false };
    if (type === "tmpfs") return { ...shared, source: "", anonymous: false };
    const { name, labels, options } = mount;
    const volume = await this.create({ name, labels, options });
    return {
      ...shared,
      name: volume.name,
      source: volume.mountpoint,
      driver: volume.driver,
      anonymous: name === undefined,
    };
  }

  /** See the engine's part of that name. */
  async populate(
    mounts: readonly MountPoint[],
    o: { readonly rootfs: string; readonly first: boolean },
  ): Promise<void> {
    for (const mount of mounts) {
      if (mount.type === "bind") await checkSource(mount.source, mount.createSource === true);
      else if (mount.type === "volume" && mount.copyUp && o.first)
        await copyUp(o.rootfs, mount.destination, mount.source);
    }
  }

  tree(o: ContainerTreeRequest): ContainerTree {
    return openContainerTree(o);
  }

  /** Those among the mounts that nobody named, unless another container has them. Idempotent. */
  async removeAnonymous(mounts: readonly MountPoint[]): Promise<void> {
    for (const { name, anonymous } of mounts) {
      // The container that goes is still recorded: it is one of the users.
      if (name !== undefined && anonymous && this.#parts.usersOf(name).length <= 1) await this.#drop(name);
    }
  }

  async #drop(name: string): Promise<void> {
    if (this.#table.get(name) === undefined) return;
    await rm(join(this.#parts.root, name), { recursive: true, force: true });
    this.#table.delete(name);
    this.#parts.emit("destroy", name, { driver: "local" });
  }
}

async function makeDirectory(path: string): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true, mode: 0o701 });
  await mkdir(path, { recursive: true, mode: 0o755 });
}

async function checkSource(path: string, create: boolean): Promise<void> {
  if (existsSync(path)) return;
  if (!create)
    throw new Fault(
      "invalid",
      `invalid mount config for type "bind": bind source path does not exist: ${path}`,
    );
  try {
    await mkdir(path, { recursive: true, mode: 0o755 });
  } catch (cause) {
    throw new Fault(
      "invalid",
      `error while creating mount source path '${path}': ${Fault.from(cause).message}`,
      { cause },
    );
  }
}
