/**
 * Volumes made of others, put back, and renamed.
 * Promises: whatever fails, and whenever an engine dies, each volume has the files it had or those it was to have.
 */
import { anonymousLabel, snapshotLabel } from "#spec/docker-volume.ts";
import { Fault } from "#spec/fault.ts";
import { explainFull } from "#store/disk-full.ts";
import type { Table } from "#store/records.ts";
import type { LocalDriver } from "./local-driver.ts";
import { localMount } from "./local-options.ts";
import { invalidName, isVolumeName } from "./plan-mounts.ts";
import type { VolumeFiles } from "./volume-files.ts";
import type { VolumeRecord, VolumesParts } from "./volume-record.ts";

export interface VolumeCopiesParts
  extends Pick<VolumesParts, "root" | "usersOf" | "runningUsersOf" | "emit"> {
  readonly table: Table<VolumeRecord>;
  readonly local: LocalDriver;
  readonly files: VolumeFiles;
  /** @throws Fault `not-found`. */
  readonly get: (name: string) => VolumeRecord;
  readonly create: (o: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly options: Readonly<Record<string, string>>;
  }) => Promise<VolumeRecord>;
  readonly drop: (record: VolumeRecord) => Promise<void>;
}

export class VolumeCopies {
  readonly #parts: VolumeCopiesParts;

  constructor(parts: VolumeCopiesParts) {
    this.#parts = parts;
  }

  /** Ends what an engine that died had begun. */
  async open(): Promise<void> {
    for (const { name, from } of this.#parts.table.list())
      if (from !== undefined) await this.#move(from, name);
  }

  /**
   * A new volume of the local driver with all that `source` has, as it is now.
   * @throws Fault `conflict` when the name is taken, `unavailable` for a full disk: then there is no new volume.
   */
  async clone(
    source: string,
    o: {
      readonly name: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly signal: AbortSignal;
    },
  ): Promise<VolumeRecord> {
    const { driver, labels, options } = this.#parts.get(source);
    if (this.#parts.table.get(o.name) !== undefined)
      throw new Fault("conflict", `clone ${source}: a volume named ${o.name} exists: choose another name`);
    const record = await this.#parts.create({
      ...{ name: o.name, labels: { ...withoutOwn(labels), ...o.labels } },
      // What it may hold is kept; what is mounted in another one's place is not.
      options: driver === this.#parts.local.name && options["size"] ? { size: options["size"] } : {},
    });
    try {
      await this.#parts.files.copy(source, record.mountpoint, o);
    } catch (error) {
      await this.#parts.drop(record);
      throw explainFull(error, this.#parts.root);
    }
    return record;
  }

  /**
   * Has a volume show what `source` has. @throws Fault `conflict` while a container with it runs, `unsupported` for a
   * volume that is more than a directory; whatever fails, its files stay as they were.
   */
  async restore(name: string, source: string, o: { readonly signal: AbortSignal }): Promise<void> {
    const record = this.#parts.get(name);
    this.#parts.get(source);
    const running = this.#parts.runningUsersOf(name);
    if (running.length > 0)
      throw new Fault(
        "conflict",
        `restore ${name}: stop the containers that have it - [${running.join(", ")}]`,
      );
    this.#plain(record, "restore");
    try {
      await this.#parts.local.replace(
        record,
        async (directory) => await this.#parts.files.copy(source, directory, o),
      );
    } catch (error) {
      throw explainFull(error, this.#parts.root);
    }
    this.#parts.emit("restore", name, { driver: record.driver, source });
  }

  /** @throws Fault `conflict` when a container has it, or the name is taken. */
  async rename(name: string, to: string): Promise<void> {
    const record = this.#parts.get(name);
    const users = this.#parts.usersOf(name);
    if (users.length > 0)
      throw new Fault(
        "conflict",
        `rename ${name}: remove the containers that have it - [${users.join(", ")}]`,
      );
    if (!isVolumeName(to)) throw invalidName(to);
    if (this.#parts.table.get(to) !== undefined)
      throw new Fault("conflict", `rename ${name}: there is a volume named ${to}`);
    this.#plain(record, "rename");
    this.#parts.table.put(to, { ...record, name: to, mountpoint: this.#parts.local.place(to), from: name });
    await this.#move(name, to);
    this.#parts.emit("rename", to, { driver: record.driver, oldName: name });
  }

  /** The second half of a rename, for the engine that began it or a later one. Idempotent. */
  async #move(from: string, to: string): Promise<void> {
    await this.#parts.local.rename(from, to);
    this.#parts.table.delete(from);
    const { from: _, ...record } = this.#parts.get(to);
    this.#parts.table.put(to, record);
  }

  #plain({ name, driver, options }: VolumeRecord, what: string): void {
    if (driver === this.#parts.local.name && localMount(options) === undefined) return;
    throw new Fault("unsupported", `${what} ${name}: its files are not in a directory of this engine's own`);
  }
}

/** Labels that say how a volume came about do not go with its files. */
function withoutOwn(labels: Readonly<Record<string, string>>): Record<string, string> {
  const own = new Set([anonymousLabel, snapshotLabel]);
  return Object.fromEntries(Object.entries(labels).filter(([key]) => !own.has(key)));
}
