/**
 * Results of steps, by what went into them.
 * Owns: the records of steps and the layers they keep. Promises: what it finds is there, whole; what a build holds is not
 * pruned; after `collect` no more than the ceiling is kept, but for what is held.
 * Never: trusts a key it did not write, or one that an image's maker wrote for another's layers.
 */

import type { BuildImages } from "#build/build-engine.ts";
import { newId } from "#build/request/build-id.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { Records, Table } from "#store/records.ts";
import type { CacheMounts } from "./cache-mounts.ts";
import {
  type CacheKind,
  type CacheRecord,
  type CacheUsage,
  type PruneOptions,
  prunable,
} from "./cache-record.ts";

export interface BuildCacheParts {
  readonly records: Records;
  readonly layers: Pick<Layers, "get">;
  readonly images: BuildImages;
  readonly mounts: CacheMounts;
  /** Bytes. */
  readonly ceilingBytes: number;
  readonly now: () => number;
}

/** What a step came to. */
export interface StepResult {
  readonly chainId?: ChainId | undefined;
  readonly diffId?: Digest | undefined;
  readonly createdMs: number;
}

export class BuildCache {
  readonly #parts: BuildCacheParts;
  readonly #steps: Table<CacheRecord>;
  readonly #keys: Table<string>;
  /** Layers that builds in progress stand on. */
  readonly #held = new Map<ChainId, number>();

  /** Bytes of others that stand below the same ceiling. */
  #besideBytes = (): number => 0;

  constructor(parts: BuildCacheParts) {
    this.#parts = parts;
    this.#steps = parts.records.table("build-steps");
    this.#keys = parts.records.table("build-step-keys");
  }

  /** The result of a step with that key, if its layers still are here. Counts as a use. */
  find(key: string): StepResult | undefined {
    const id = this.#keys.get(key);
    const record = id === undefined ? undefined : this.#steps.get(id);
    if (record === undefined) return undefined;
    if (record.chainId !== undefined && this.#parts.layers.get(record.chainId) === undefined) {
      this.#forget(record);
      return undefined;
    }
    this.#steps.put(record.id, { ...record, uses: record.uses + 1, lastUsedMs: this.#parts.now() });
    return record;
  }

  /** The keys of the steps that ended with these files; with `known`, of the one step that has this key among them. */
  keysOf(chainId: ChainId, known?: string): string[] {
    if (known !== undefined) {
      const record = this.#steps.get(this.#keys.get(known) ?? "");
      return record?.chainId === chainId ? [...record.keys] : [];
    }
    return this.#steps
      .list()
      .filter((record) => record.chainId === chainId)
      .flatMap(({ keys }) => keys);
  }

  /** The files that a step stood on. */
  below({ chainId, diffId }: StepResult): ChainId | undefined {
    if (chainId === undefined || diffId === undefined) return chainId;
    return this.#parts.layers.get(chainId)?.parent;
  }

  /** When those files were made; 0 when it is not known. */
  createdOf(chainId: ChainId): number {
    return this.#steps.list().find((record) => record.chainId === chainId)?.createdMs ?? 0;
  }

  /** Another key for what `known` finds. */
  alias(key: string, known: string): void {
    const id = this.#keys.get(known);
    const record = id === undefined ? undefined : this.#steps.get(id);
    if (record === undefined || record.keys.includes(key)) return;
    this.#parts.records.transaction(() => {
      this.#keys.put(key, record.id);
      this.#steps.put(record.id, { ...record, keys: [...record.keys, key] });
    });
  }

  remember(
    keys: readonly string[],
    result: StepResult,
    o: { readonly kind: CacheKind; readonly description: string },
  ): void {
    const { chainId, diffId, createdMs } = result;
    const layer = chainId === undefined ? undefined : this.#parts.layers.get(chainId);
    const id = newId();
    const record: CacheRecord = {
      ...{ id, ...o, keys, chainId, diffId, createdMs },
      sizeBytes: diffId === undefined ? 0 : (layer?.sizeBytes ?? 0),
      lastUsedMs: this.#parts.now(),
      uses: 1,
    };
    this.#parts.records.transaction(() => {
      for (const key of keys) {
        const old = this.#keys.get(key);
        const before = old === undefined ? undefined : this.#steps.get(old);
        if (before !== undefined) this.#unname(before, key);
        this.#keys.put(key, id);
      }
      this.#steps.put(id, record);
      if (chainId !== undefined) this.#parts.images.keepLayer(chainId, "build cache");
    });
  }

  /** A key leads elsewhere now; a record without keys is of no use, but its layer may be: it goes by its age. */
  #unname(record: CacheRecord, key: string): void {
    this.#steps.put(record.id, { ...record, keys: record.keys.filter((each) => each !== key) });
  }

  #forget(record: CacheRecord): void {
    this.#parts.records.transaction(() => {
      for (const key of record.keys) if (this.#keys.get(key) === record.id) this.#keys.delete(key);
      this.#steps.delete(record.id);
    });
  }

  /** Until disposed, the layer and those below it are not pruned. */
  hold(chainId: ChainId | undefined): Disposable {
    if (chainId === undefined) return { [Symbol.dispose]() {} };
    this.#held.set(chainId, (this.#held.get(chainId) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const left = (this.#held.get(chainId) ?? 1) - 1;
        if (left === 0) this.#held.delete(chainId);
        else this.#held.set(chainId, left);
      },
    };
  }

  /** All records, the oldest first. */
  usage(): CacheUsage[] {
    const steps = this.#steps.list();
    const byChain = new Map(
      steps.flatMap((each) => (each.chainId === undefined ? [] : [[each.chainId, each.id]])),
    );
    const inUse = this.#chainsInUse();
    const ofImages = this.#parts.images.layers();
    const shown = steps.map((record): CacheUsage => {
      const parent =
        record.chainId === undefined ? undefined : this.#parts.layers.get(record.chainId)?.parent;
      const above = parent === undefined ? undefined : byChain.get(parent);
      return {
        ...record,
        parents: above === undefined || above === record.id ? [] : [above],
        inUse: record.chainId !== undefined && inUse.has(record.chainId),
        shared: record.chainId !== undefined && ofImages.has(record.chainId),
      };
    });
    return [...shown, ...this.#parts.mounts.usage()].sort((left, right) => left.createdMs - right.createdMs);
  }

  #chainsInUse(): ReadonlySet<ChainId> {
    const inUse = new Set<ChainId>();
    for (const top of this.#held.keys())
      for (let at: ChainId | undefined = top; at !== undefined; at = this.#parts.layers.get(at)?.parent)
        inUse.add(at);
    return inUse;
  }

  /** @returns what went, with the bytes each really freed. */
  async prune(o: PruneOptions): Promise<{ readonly record: CacheUsage; readonly freedBytes: number }[]> {
    const gone: { record: CacheUsage; freedBytes: number }[] = [];
    for (const record of prunable(this.usage(), o, this.#parts.now())) {
      if (record.kind === "exec.cachemount") {
        gone.push({ record, freedBytes: await this.#parts.mounts.remove(record.id) });
        continue;
      }
      this.#forget(record);
      const { chainId } = record;
      // Another record may stand for the same layer.
      const needed = chainId === undefined || this.#steps.list().some((each) => each.chainId === chainId);
      gone.push({ record, freedBytes: needed ? 0 : await this.#parts.images.dropLayer(chainId) });
    }
    return gone;
  }

  get ceilingBytes(): number {
    return this.#parts.ceilingBytes;
  }

  /** From now on the cache leaves room below its ceiling for these. */
  leaveRoom(besideBytes: () => number): void {
    this.#besideBytes = besideBytes;
  }

  /** Brings the cache below its ceiling. What an image has too would free nothing. */
  async collect(): Promise<void> {
    const keepBytes = Math.max(1, this.#parts.ceilingBytes - this.#besideBytes());
    await this.prune({ all: false, filters: new Map(), keepBytes, keepMs: 0 });
  }
}
