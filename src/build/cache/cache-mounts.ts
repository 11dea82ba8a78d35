/**
 * Directories that outlive a build's commands: `RUN --mount=type=cache`.
 * Owns: them, by id, and who uses which now. Promises: `locked` lets one in at a time, `private` gives everyone a
 * directory of their own, `shared` gives all the same; what a dead engine left unnamed is swept.
 */
import { chmodSync, chownSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { newId } from "#build/request/build-id.ts";
import { discardTree } from "#store/discard.ts";
import { diskUsage } from "#store/disk-usage.ts";
import { Gate } from "#store/gate.ts";
import type { Records, Table } from "#store/records.ts";
import type { CacheUsage } from "./cache-record.ts";

interface MountRecord {
  readonly id: string;
  /** Of the mount, with its namespace. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly createdMs: number;
  readonly lastUsedMs: number;
  readonly uses: number;
  /** What fills it is on its way: an engine that dies meanwhile leaves it half filled. */
  readonly making?: true;
}

export interface CacheMountRequest {
  readonly name: string;
  readonly sharing: "shared" | "private" | "locked";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Fills a new directory. */
  readonly seed?: (directory: string) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface HeldCacheMount extends AsyncDisposable {
  readonly directory: string;
}

export class CacheMounts {
  readonly #root: string;
  readonly #table: Table<MountRecord>;
  readonly #now: () => number;
  /** Users of each directory now. */
  readonly #users = new Map<string, number>();
  readonly #gates = new Map<string, Gate>();
  /** Directories on their way, for those who came second. */
  readonly #making = new Map<string, Promise<void>>();

  private constructor(root: string, records: Records, now: () => number) {
    this.#root = root;
    this.#table = records.table("build-cache-mounts");
    this.#now = now;
  }

  static async open(root: string, records: Records, now: () => number): Promise<CacheMounts> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const mounts = new CacheMounts(root, records, now);
    for (const { id, making } of mounts.#table.list()) if (making === true) mounts.#table.delete(id);
    for (const name of await readdir(root))
      if (mounts.#table.get(name) === undefined) await discardTree(join(root, name));
    return mounts;
  }

  /** Waits for its turn where sharing is `locked`. */
  async acquire(o: CacheMountRequest): Promise<HeldCacheMount> {
    const turn = o.sharing === "locked" ? await this.#gate(o.name).enter(o.signal) : undefined;
    try {
      const id = await this.#directory(o);
      return {
        directory: join(this.#root, id),
        [Symbol.asyncDispose]: async () => {
          try {
            await this.#measure(id);
          } finally {
            this.#leave(id);
            turn?.[Symbol.dispose]();
          }
        },
      };
    } catch (error) {
      turn?.[Symbol.dispose]();
      throw error;
    }
  }

  #gate(name: string): Gate {
    const gate = this.#gates.get(name) ?? new Gate(1);
    this.#gates.set(name, gate);
    return gate;
  }

  /** A directory of that name, of nobody else's when it must be private. Its users are counted from here on. */
  async #directory(o: CacheMountRequest): Promise<string> {
    const known = this.#table
      .list()
      .find(({ id, name }) => name === o.name && (o.sharing !== "private" || !this.#users.has(id)));
    const id = known?.id ?? newId();
    this.#users.set(id, (this.#users.get(id) ?? 0) + 1);
    const nowMs = this.#now();
    const making = known === undefined ? this.#make(id, o) : this.#making.get(id);
    try {
      await making;
    } catch (error) {
      this.#leave(id);
      throw error;
    }
    const record = this.#table.get(id);
    if (record !== undefined) this.#table.put(id, { ...record, lastUsedMs: nowMs, uses: record.uses + 1 });
    return id;
  }

  #make(id: string, o: CacheMountRequest): Promise<void> {
    const nowMs = this.#now();
    const record = { id, name: o.name, sizeBytes: 0, createdMs: nowMs, lastUsedMs: nowMs, uses: 0 };
    this.#table.put(id, { ...record, making: true });
    const fill = async () => {
      const directory = join(this.#root, id);
      await mkdir(directory, { recursive: true });
      await o.seed?.(directory);
      chownSync(directory, o.uid, o.gid);
      chmodSync(directory, o.mode);
      this.#table.put(id, record);
    };
    const filling = fill()
      .catch(async (error: unknown) => {
        this.#table.delete(id);
        await discardTree(join(this.#root, id));
        throw error;
      })
      .finally(() => this.#making.delete(id));
    this.#making.set(id, filling);
    return filling;
  }

  #leave(id: string): void {
    const left = (this.#users.get(id) ?? 1) - 1;
    if (left === 0) this.#users.delete(id);
    else this.#users.set(id, left);
  }

  async #measure(id: string): Promise<void> {
    const sizeBytes = await diskUsage(join(this.#root, id), {});
    const record = this.#table.get(id);
    if (record !== undefined) this.#table.put(id, { ...record, sizeBytes, lastUsedMs: this.#now() });
  }

  usage(): CacheUsage[] {
    return this.#table.list().map((record) => ({
      ...record,
      kind: "exec.cachemount" as const,
      description: `cached mount ${record.name} from exec`,
      keys: [],
      parents: [],
      inUse: this.#users.has(record.id),
      shared: false,
    }));
  }

  /** Idempotent; what is in use stays. @returns bytes that became free. */
  async remove(id: string): Promise<number> {
    const record = this.#table.get(id);
    if (record === undefined || this.#users.has(id)) return 0;
    this.#table.delete(id);
    await discardTree(join(this.#root, id));
    return record.sizeBytes;
  }
}
