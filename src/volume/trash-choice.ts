/**
 * What of the trash comes back, and what goes.
 * Pure.
 */
import { Fault } from "#spec/fault.ts";
import type { VolumeRecord } from "./volume-record.ts";

export interface TrashEntry {
  readonly id: string;
  /** What was removed by one request has it in common. */
  readonly removal: string;
  readonly volume: VolumeRecord;
  /** RFC 3339. */
  readonly removedAt: string;
  /** To be taken away for good; some of it may have gone already. */
  readonly going?: boolean;
  /** The name of the volume it is becoming. */
  readonly restoring?: string;
  readonly sizeBytes?: number;
}

/** The trash yields when less than this share of the disk is free and less than so many bytes, or of its inodes. */
const freeShareMin = 0.1;
const freeBytesEnough = 4 * 2 ** 30;
const freeInodesShareMin = 0.01;

export interface FileSystemRoom {
  readonly bsize: number;
  readonly blocks: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}

export function isShort({ bsize, blocks, bavail, files, ffree }: FileSystemRoom): boolean {
  const blocksShort = bavail < blocks * freeShareMin && bavail * bsize < freeBytesEnough;
  // Some file systems count no inodes.
  return blocksShort || (files > 0 && ffree < files * freeInodesShareMin);
}

export function overdue({ removedAt }: TrashEntry, keptMs: number, now: string): boolean {
  return Date.parse(now) - Date.parse(removedAt) >= keptMs;
}

/**
 * Entries to be volumes again, with their names, out of the trash's, oldest first.
 * @throws Fault `not-found`, `invalid`, and `conflict` naming the way out.
 */
export function wantedBack(
  entries: readonly TrashEntry[],
  o: {
    readonly what?: string | undefined;
    readonly name?: string | undefined;
    readonly taken: (name: string) => boolean;
  },
): { readonly entry: TrashEntry; readonly name: string }[] {
  const chosen = o.what === undefined ? lastRemoval(entries) : named(entries, o.what);
  if (chosen.length === 0)
    throw new Fault(
      "not-found",
      o.what === undefined
        ? "nothing to undo: no removed volume is kept"
        : `no removed volume is kept by the name or id ${o.what}: see 'wherry undo --list'`,
    );
  if (o.name !== undefined && chosen.length > 1)
    throw new Fault(
      "invalid",
      `--name is for one volume, and that removal took ${chosen.length}: say the id of one of them, see 'wherry undo --list'`,
    );
  const names = new Set<string>();
  return chosen.map((entry) => {
    const name = o.name ?? entry.volume.name;
    if (o.taken(name) || names.has(name))
      throw new Fault(
        "conflict",
        `there is a volume named ${name} again: choose another name with 'wherry undo --name NEW_NAME ${entry.id}'`,
      );
    names.add(name);
    return { entry, name };
  });
}

function lastRemoval(entries: readonly TrashEntry[]): TrashEntry[] {
  const last = entries.at(-1);
  return entries.filter(({ removal }) => removal === last?.removal);
}

function named(entries: readonly TrashEntry[], what: string): TrashEntry[] {
  const ofRemoval = entries.filter(({ removal }) => removal === what);
  if (ofRemoval.length > 0) return ofRemoval;
  const one =
    entries.find(({ id }) => id === what) ?? entries.findLast(({ volume: { name } }) => name === what);
  return one === undefined ? [] : [one];
}
