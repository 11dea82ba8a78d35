/** What builds leave on disk, for `buildx du` and `prune`: kept copies of contexts, and the builder's cache. */
import type { PruneRequest, UsageWritten } from "#spec/buildkit-control.ts";
import { nanoOfFineMillis } from "#spec/unix-time.ts";
import type { BuilderUsage, BuildkitParts, CacheRecord } from "./buildkit-parts.ts";
import { filterBy } from "./containerd-filter.ts";

export interface PruneOrder {
  /** See `filterOf`. */
  readonly filters: readonly string[];
  /** Also what images share, and what is internal. */
  readonly all: boolean;
  /** What may stay; 0 for nothing. */
  readonly keepBytes: number;
  /** What was used since then stays. */
  readonly keepMs: number;
}

export function cacheRecords({ mirrors, builder }: BuildkitParts): CacheRecord[] {
  const copies = mirrors.list().map(
    (each): CacheRecord => ({
      ...each,
      parents: [],
      type: "source.local",
      description: `local source for ${each.name}`,
      shared: false,
      mutable: true,
    }),
  );
  return [...copies, ...(builder.usage?.() ?? []).map(builderRecord)];
}

function builderRecord(usage: BuilderUsage): CacheRecord {
  return { ...usage, type: usage.kind, usedMs: usage.lastUsedMs, mutable: usage.kind === "exec.cachemount" };
}

export function diskUsage(parts: BuildkitParts, filters: readonly string[]): { record: UsageWritten[] } {
  return { record: cacheRecords(parts).filter(filterOf(filters)).map(usageRecord) };
}

export function orderOf(request: PruneRequest): PruneOrder {
  const { filter: filters, all, keepDuration, maxUsedSpace, reservedSpace } = request;
  return { filters, all, keepBytes: Math.max(maxUsedSpace, reservedSpace), keepMs: keepDuration / 1e6 };
}

/** Removes what has no user and fits the filters: kept copies of contexts first, then the builder's, the least used first. */
export async function* prune(
  parts: BuildkitParts,
  order: PruneOrder,
  signal: AbortSignal,
): AsyncGenerator<CacheRecord, void, undefined> {
  const all = cacheRecords(parts);
  const matching = all.filter(filterOf(order.filters)).filter(({ inUse }) => !inUse);
  const old = matching
    .filter((each) => order.keepMs <= 0 || parts.now() - usedMs(each) >= order.keepMs)
    .sort((left, right) => usedMs(left) - usedMs(right));
  let left = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  for (const each of old.filter(({ type }) => type === "source.local")) {
    signal.throwIfAborted();
    if (order.keepBytes > 0 && left <= order.keepBytes) return;
    if (!(await parts.mirrors.remove(each.id))) continue;
    left -= each.sizeBytes;
    yield each;
  }
  const others = matching.filter(({ type }) => type !== "source.local").map(({ id }) => id);
  if (others.length === 0) return;
  const filters = new Map(order.filters.length === 0 ? [] : [["id", others] as const]);
  const gone = await parts.builder.prune?.({ ...order, filters });
  for (const { record, freedBytes } of gone ?? []) yield { ...builderRecord(record), sizeBytes: freedBytes };
}

function usedMs(record: CacheRecord): number {
  return record.usedMs ?? record.createdMs;
}

export function usageRecord(record: CacheRecord): UsageWritten {
  return {
    ID: record.id,
    Mutable: record.mutable,
    InUse: record.inUse,
    Size: record.sizeBytes,
    CreatedAt: nanoOfFineMillis(record.createdMs),
    LastUsedAt: record.usedMs === undefined ? undefined : nanoOfFineMillis(record.usedMs),
    UsageCount: record.uses,
    Description: record.description,
    RecordType: record.type,
    Shared: record.shared,
    Parents: record.parents,
  };
}

/**
 * `id`, `parents`, `type`, `description` by `==`, `!=`, `~=`; `inuse`, `mutable`, `shared`, `private` alone.
 * @throws Fault `invalid`.
 */
export function filterOf(filters: readonly string[]): (record: CacheRecord) => boolean {
  return filterBy(filters, (record, field) => fieldOf(record, field.toLowerCase()));
}

function fieldOf(record: CacheRecord, field: string): string {
  switch (field) {
    case "id":
      return record.id;
    case "type":
      return record.type;
    case "description":
      return record.description;
    case "parents":
    case "parent":
      return record.parents.join(",");
    case "inuse":
      return String(record.inUse);
    case "mutable":
      return String(record.mutable);
    case "immutable":
      return String(!record.mutable);
    case "shared":
      return String(record.shared);
    case "private":
      return String(!record.shared);
    default:
      return "";
  }
}
