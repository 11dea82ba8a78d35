/**
 * Pure. Whose files a mount shows: `idmap=auto`, or ranges as in `idmap=uids=1000-0-1;gids=1000-0-1`
 * (id on disk, id in the container, how many; several with `#` between).
 */
import type { IdMap, IdRange } from "#kernel/mounts/idmapped-mount.ts";
import { Fault } from "#spec/fault.ts";

/** Linux's last id has a meaning of its own. */
const idsMax = 2 ** 32 - 1;
/** The kernel takes that many lines. */
const rangesMax = 340;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** @throws Fault `invalid`. */
export function checkIdMap(text: string): void {
  if (text !== "auto") parseRanges(text);
}

/** `auto`: who owns the source on disk is the container's user inside, and the other way round; all others stay. */
export function idMapOf(text: string, disk: Owner, user: Owner): IdMap {
  if (text !== "auto") return parseRanges(text);
  return { uids: exchanged(disk.uid, user.uid), gids: exchanged(disk.gid, user.gid) };
}

function exchanged(a: number, b: number): IdRange[] {
  if (a === b) return [{ disk: 0, shown: 0, count: idsMax }];
  const [low, high] = [Math.min(a, b), Math.max(a, b)];
  const same = (from: number, to: number) => ({ disk: from, shown: from, count: to - from });
  return [
    same(0, low),
    { disk: low, shown: high, count: 1 },
    same(low + 1, high),
    { disk: high, shown: low, count: 1 },
    same(high + 1, idsMax),
  ].filter(({ count }) => count > 0);
}

function parseRanges(text: string): IdMap {
  const parts = new Map(
    text.split(";").map((part) => {
      const at = part.indexOf("=");
      return [part.slice(0, at), part.slice(at + 1)];
    }),
  );
  const [uids, gids] = [parts.get("uids"), parts.get("gids")];
  if (uids === undefined || gids === undefined || parts.size !== 2)
    throw invalid(text, "say auto, or uids=DISK-CONTAINER-COUNT;gids=DISK-CONTAINER-COUNT");
  return { uids: ranges(uids, text), gids: ranges(gids, text) };
}

function ranges(list: string, text: string): IdRange[] {
  const all = list.split("#").map((each) => {
    const match = /^(\d{1,10})-(\d{1,10})-(\d{1,10})$/.exec(each);
    const [disk = -1, shown = -1, count = 0] = (match ?? []).slice(1).map(Number);
    if (count < 1 || disk + count > idsMax || shown + count > idsMax)
      throw invalid(text, `${JSON.stringify(each)} is no range`);
    return { disk, shown, count };
  });
  if (all.length > rangesMax) throw invalid(text, `more than ${rangesMax} ranges`);
  for (const side of ["disk", "shown"] as const) {
    const sorted = all.toSorted((a, b) => a[side] - b[side]);
    for (const [at, range] of sorted.entries()) {
      const next = sorted[at + 1];
      if (next !== undefined && range[side] + range.count > next[side])
        throw invalid(text, "two ranges have an id in common");
    }
  }
  return all;
}

function invalid(text: string, reason: string): Fault {
  return new Fault("invalid", `invalid idmap ${JSON.stringify(text)}: ${reason}`);
}
