/** What builds leave on disk, for `buildx du` and `prune`: kept copies of contexts, and the builder's cache. */
import type { PruneRequest, UsageWritten } from "#spec/buildkit-control.ts";
import type { BuildkitParts, CacheRecord } from "./buildkit-parts.ts";

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
  return [...copies, ...(builder.cacheRecords?.() ?? [])];
}

export function diskUsage(parts: BuildkitParts, filters: readonly string[]): { record: UsageWritten[] } {
  const matches = filterOf(filters);
  return { record: cacheRecords(parts).filter(matches).map(usageRecord) };
}

/** Everything without a user that fits the filters; with bounds, the least used first until the bounds are kept. */
export async function* prune(
  parts: BuildkitParts,
  request: PruneRequest,
  signal: AbortSignal,
): AsyncGenerator<UsageWritten, void, undefined> {
  const matches = filterOf(request.filter);
  const all = cacheRecords(parts);
  const youngestMs = parts.now() - request.keepDuration / 1e6;
  const candidates = all
    .filter((each) => !each.inUse && matches(each))
    .filter((each) => request.all || each.type !== "internal")
    .filter((each) => request.keepDuration <= 0 || usedMs(each) < youngestMs)
    .sort((left, right) => usedMs(left) - usedMs(right));
  const bound = Math.max(request.maxUsedSpace, request.reservedSpace);
  let total = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  for (const each of candidates) {
    signal.throwIfAborted();
    if (bound > 0 && total <= bound) return;
    const removed =
      each.type === "source.local"
        ? await parts.mirrors.remove(each.id)
        : await parts.builder.removeCache?.(each.id);
    if (removed !== true) continue;
    total -= each.sizeBytes;
    yield usageRecord(each);
  }
}

function usedMs(record: CacheRecord): number {
  return record.usedMs ?? record.createdMs;
}

function usageRecord(record: CacheRecord): UsageWritten {
  return {
    ID: record.id,
    Mutable: record.mutable,
    InUse: record.inUse,
    Size: record.sizeBytes,
    CreatedAt: nano(record.createdMs),
    LastUsedAt: record.usedMs === undefined ? undefined : nano(record.usedMs),
    UsageCount: record.uses,
    Description: record.description,
    RecordType: record.type,
    Shared: record.shared,
    Parents: record.parents,
  };
}

function nano(ms: number): bigint {
  return BigInt(Math.round(ms * 1000)) * 1000n;
}

/**
 * containerd's filters, as buildx sends them: each text is conditions that all hold, joined by commas; one of the texts
 * must hold. `id`, `parents`, `type`, `description` by `==`, `!=`, `~=`; `inuse`, `mutable`, `shared`, `private` alone.
 */
export function filterOf(filters: readonly string[]): (record: CacheRecord) => boolean {
  if (filters.length === 0) return () => true;
  const groups = filters.map((text) =>
    text
      .split(",")
      .filter((each) => each !== "")
      .map(condition),
  );
  return (record) => groups.some((group) => group.every((holds) => holds(record)));
}

function condition(text: string): (record: CacheRecord) => boolean {
  const [, field = "", operator, raw = ""] = /^([a-zA-Z]+)(==|!=|~=)?(.*)$/s.exec(text) ?? [];
  const value = raw.startsWith('"') && raw.endsWith('"') ? raw.slice(1, -1) : raw;
  const pattern = operator === "~=" ? new RegExp(value) : undefined;
  return (record) => {
    const found = fieldOf(record, field.toLowerCase());
    if (operator === undefined) return found === "true";
    if (pattern !== undefined) return pattern.test(found);
    return operator === "==" ? found === value : found !== value;
  };
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
