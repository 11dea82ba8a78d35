/**
 * Volumes that were removed, kept for a while.
 * Owns: `<volumes>/.trash/<id>`, on the volumes' own file system, and the records of what is there. Promises: what a
 * record speaks of is in the trash, in its place again or about to go, whenever an engine dies; nothing is copied; the
 * oldest go first when their time is over or the disk is short. Never: keeps a name from being used again.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { unlimitDirectory } from "#kernel/files/project-quota.ts";
import type { Finding } from "#spec/check.ts";
import { Fault } from "#spec/fault.ts";
import { discardTree } from "#store/discard.ts";
import { diskUsage } from "#store/disk-usage.ts";
import type { Records, Table } from "#store/records.ts";
import type { LocalDriver } from "./local-driver.ts";
import { checkTrash } from "./trash-check.ts";
import { isShort, overdue, type TrashEntry, wantedBack } from "./trash-choice.ts";
import type { VolumeRecord } from "./volume-record.ts";

export interface TrashParts {
  readonly root: string;
  readonly records: Records;
  readonly volumes: Table<VolumeRecord>;
  readonly local: LocalDriver;
  /** How long things are kept; 0: not at all. */
  readonly keptMs: number;
  readonly now: () => string;
  readonly randomHex: (bytes: number) => string;
  readonly report: (fault: Fault) => void;
}

/** How often the trash is looked through for what is to go. */
const lookMs = 30_000;
/** Of more than so many the oldest go at the next look. */
const entriesMax = 10_000;

export interface TrashOptions {
  /** What is removed by one request comes back by one. */
  readonly removal?: string | undefined;
  /** Nothing is kept. */
  readonly now?: boolean | undefined;
}

export class Trash implements Disposable {
  readonly #parts: TrashParts;
  readonly #root: string;
  readonly #table: Table<TrashEntry>;
  readonly #timer: Timer;
  #tidying: Promise<void> | undefined;
  #again = false;
  #closed = false;
  readonly #told = new Set<string>();

  constructor(parts: TrashParts) {
    this.#parts = parts;
    this.#root = join(parts.root, ".trash");
    this.#table = parts.records.table("volume-trash");
    this.#timer = setInterval(() => void this.tidy(), lookMs);
    this.#timer.unref();
  }

  /** Ends what an engine that died had begun, before any volume is looked for in its place. */
  async open(): Promise<void> {
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    for (const entry of this.#table.list()) {
      if (entry.going === true) continue;
      if (entry.restoring !== undefined) this.#bringBack(entry, entry.restoring);
      else this.#take(entry);
    }
    const known = new Set(this.#table.list().map(({ id }) => id));
    for (const name of readdirSync(this.#root))
      if (!known.has(name)) await discardTree(join(this.#root, name));
    void this.tidy();
  }

  newRemoval(): string {
    return this.#parts.randomHex(6);
  }

  /** The volume's record becomes one of the trash, and its directory follows. Its name is free when this returns. */
  async put(volume: VolumeRecord, o: TrashOptions = {}): Promise<void> {
    const { records, volumes, now, keptMs } = this.#parts;
    const going = o.now === true || keptMs === 0;
    const id = this.newRemoval();
    const entry: TrashEntry = {
      ...{ id, removal: o.removal ?? id, volume, removedAt: now() },
      ...(going && { going }),
    };
    // The calls below wait for nothing: no volume of that name is made before the directory has gone.
    this.#parts.local.letGo(volume);
    records.transaction(() => {
      this.#table.put(id, entry);
      volumes.delete(volume.name);
    });
    this.#take(entry);
    if (going) await this.#discard(entry);
    // All of the trash is looked through now and then, not for each that comes.
    else if (isShort(statfsSync(this.#root))) void this.tidy();
  }

  #take({ id, volume }: TrashEntry): void {
    const from = join(this.#parts.root, volume.name);
    const to = join(this.#root, id);
    if (!existsSync(to) && existsSync(from)) renameSync(from, to);
  }

  /** Oldest first. */
  list(): TrashEntry[] {
    return this.#table
      .list()
      .filter(({ going, restoring }) => going !== true && restoring === undefined)
      .sort((a, b) => (a.removedAt < b.removedAt ? -1 : 1));
  }

  /** RFC 3339. */
  keptUntil({ removedAt }: TrashEntry): string {
    return new Date(Date.parse(removedAt) + this.#parts.keptMs).toISOString();
  }

  /** Looked up once: nobody writes there any more. */
  async sizeOf({ id }: TrashEntry): Promise<number> {
    const known = this.#table.get(id)?.sizeBytes;
    if (known !== undefined) return known;
    const sizeBytes = await diskUsage(join(this.#root, id)).catch(() => 0);
    const entry = this.#table.get(id);
    if (entry !== undefined && entry.going !== true) this.#table.put(id, { ...entry, sizeBytes });
    return sizeBytes;
  }

  /**
   * Volumes are again what they were: those of a removal, of an entry, the last one of a name; of the last removal
   * without any. All of them or none. @param name Another name for the only one.
   * @throws Fault `not-found`, and `conflict` for a name that was taken meanwhile.
   */
  restore(o: { readonly what?: string | undefined; readonly name?: string | undefined }): VolumeRecord[] {
    const { records, volumes, local } = this.#parts;
    const taken = (name: string): boolean =>
      volumes.get(name) !== undefined || existsSync(join(this.#parts.root, name));
    const back = wantedBack(this.list(), { ...o, taken });
    const restored = back.map(({ entry, name }) => {
      const volume: VolumeRecord = { ...entry.volume, name, mountpoint: local.place(name) };
      return { entry: { ...entry, restoring: name }, volume };
    });
    records.transaction(() => {
      for (const { entry, volume } of restored) {
        this.#table.put(entry.id, entry);
        volumes.put(volume.name, volume);
      }
    });
    for (const { entry, volume } of restored) this.#bringBack(entry, volume.name);
    return restored.map(({ volume }) => volume);
  }

  #bringBack({ id }: TrashEntry, name: string): void {
    const from = join(this.#root, id);
    const to = join(this.#parts.root, name);
    if (existsSync(from)) renameSync(from, to);
    this.#table.delete(id);
  }

  /** For good. @returns bytes given back. */
  async empty(wanted: (entry: TrashEntry) => boolean): Promise<number> {
    let freed = 0;
    for (const entry of this.list().filter(wanted)) {
      const bytes = await this.sizeOf(entry);
      // Somebody may have had it back meanwhile.
      if (this.#table.get(entry.id)?.restoring === undefined && (await this.#discard(entry))) freed += bytes;
    }
    return freed;
  }

  /** False when it was not there any more. */
  async #discard({ id }: TrashEntry): Promise<boolean> {
    const entry = this.#table.get(id);
    if (entry === undefined) return false;
    if (entry.going !== true) this.#table.put(id, { ...entry, going: true });
    const path = join(this.#root, id);
    if (existsSync(path)) {
      const data = join(path, "_data");
      if (existsSync(data)) unlimitDirectory(data);
      await discardTree(path);
    }
    return this.#table.delete(id);
  }

  /** Takes away what has been kept long enough, and what is to go; of too many, and where the disk is short, the oldest. */
  async tidy(): Promise<void> {
    this.#again = true;
    this.#tidying ??= this.#tidyAll()
      .catch((thrown: unknown) => {
        if (!this.#closed) this.#parts.report(Fault.from(thrown));
      })
      .finally(() => {
        this.#tidying = undefined;
      });
    await this.#tidying;
  }

  async #tidyAll(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      for (const entry of this.#table.list())
        if (entry.going === true || overdue(entry, this.#parts.keptMs, this.#parts.now()))
          await this.#discardOrTell(entry);
      const kept = this.list();
      for (const [index, entry] of kept.entries()) {
        if (kept.length - index <= entriesMax && !isShort(statfsSync(this.#root))) break;
        await this.#discardOrTell(entry);
      }
    }
  }

  /** What cannot go is tried again, and told of once. */
  async #discardOrTell(entry: TrashEntry): Promise<void> {
    try {
      await this.#discard(entry);
    } catch (thrown) {
      if (this.#told.has(entry.id)) return;
      this.#told.add(entry.id);
      const { message } = Fault.from(thrown);
      const where = join(this.#root, entry.id);
      this.#parts.report(
        new Fault("unavailable", `volume ${entry.volume.name}, removed, cannot go from ${where}: ${message}`),
      );
    }
  }

  /** Entries against directories; those in between are the trash's own business. */
  check(): Iterable<Finding> {
    const between = this.#table
      .list()
      .filter(({ going, restoring }) => going === true || restoring !== undefined);
    return checkTrash({
      root: this.#root,
      entries: this.list().map(({ id, volume: { name } }) => ({ id, name })),
      spared: new Set(between.map(({ id }) => id)),
      forget: (id) => void this.#table.delete(id),
    });
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }
}
