/** Pure. What the build cache knows of a step's result or a cache mount, and what of it goes when room is wanted. */
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";

/** BuildKit's names for what a record holds. */
export type CacheKind = "regular" | "source.local" | "source.git.checkout" | "exec.cachemount";

export interface CacheRecord {
  /** 25 letters and digits, as BuildKit's. */
  readonly id: string;
  readonly kind: CacheKind;
  /** `[build 2/4] RUN make`, or what a cache mount is for. */
  readonly description: string;
  /** Keys of the steps whose result it is. */
  readonly keys: readonly string[];
  /** The files after the step; absent for cache mounts and for steps that end with nothing. */
  readonly chainId?: ChainId | undefined;
  /** Of the layer it made; absent when it changed nothing. */
  readonly diffId?: Digest | undefined;
  readonly sizeBytes: number;
  readonly createdMs: number;
  readonly lastUsedMs: number;
  readonly uses: number;
}

/** A record as `docker buildx du` and `docker system df` show it. */
export interface CacheUsage extends CacheRecord {
  readonly parents: readonly string[];
  readonly inUse: boolean;
  /** An image has the same layer: removing the record frees nothing. */
  readonly shared: boolean;
}

export interface PruneOptions {
  /** Also what an image shares and what is internal. */
  readonly all: boolean;
  /** `type=…`, `id=…`, `until=…`, `unused-for=…`, `description=…`, `inuse`, `shared`, `private`, `parents=…`. */
  readonly filters: ReadonlyMap<string, readonly string[]>;
  /** Bytes that may stay; 0 for none. */
  readonly keepBytes: number;
  /** Younger than this stays. */
  readonly keepMs: number;
}

/** What goes, least lately used first, children before their parents. */
export function prunable(records: readonly CacheUsage[], o: PruneOptions, nowMs: number): CacheUsage[] {
  const matching = records.filter((record) => !record.inUse && matches(record, o, nowMs));
  const gone = new Set<string>();
  const doomed: CacheUsage[] = [];
  let leftBytes = records.reduce((sum, { sizeBytes, shared }) => sum + (shared ? 0 : sizeBytes), 0);
  const children = new Map<string, number>();
  for (const { parents } of records)
    for (const parent of parents) children.set(parent, (children.get(parent) ?? 0) + 1);
  const queue = [...matching].sort((left, right) => left.lastUsedMs - right.lastUsedMs);
  for (let found = true; found && (o.keepBytes === 0 || leftBytes > o.keepBytes); ) {
    const at = queue.findIndex(({ id }) => !gone.has(id) && (children.get(id) ?? 0) === 0);
    const next = queue[at];
    found = next !== undefined;
    if (next === undefined) break;
    queue.splice(at, 1);
    gone.add(next.id);
    doomed.push(next);
    if (!next.shared) leftBytes -= next.sizeBytes;
    for (const parent of next.parents) children.set(parent, (children.get(parent) ?? 1) - 1);
  }
  return doomed;
}

function matches(record: CacheUsage, o: PruneOptions, nowMs: number): boolean {
  if (!o.all && record.shared) return false;
  if (o.keepMs > 0 && nowMs - record.lastUsedMs < o.keepMs) return false;
  return [...o.filters].every(([key, values]) => values.some((value) => holds(record, key, value)));
}

function holds(record: CacheUsage, key: string, value: string): boolean {
  const truth = value === "" || value === "true" || value === "1";
  switch (key) {
    case "id":
      return record.id.startsWith(value);
    case "type":
      return record.kind === value;
    case "description":
      return record.description.includes(value);
    case "parents":
    case "parent":
      return record.parents.includes(value);
    case "inuse":
      return record.inUse === truth;
    case "shared":
      return record.shared === truth;
    case "private":
      return record.shared !== truth;
    // What they mean is in `keepMs`.
    case "until":
    case "unused-for":
      return true;
    default:
      throw new Fault("invalid", `invalid filter ${JSON.stringify(key)}`);
  }
}
