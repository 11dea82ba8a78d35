/**
 * What a container changed, as `docker diff` lists it: every changed path, and the directories above it.
 */
import type { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, joinPath, pathText } from "#kernel/files/byte-path.ts";
import type { FileStat } from "#kernel/files/files-at.ts";
import type { LowerTree } from "./lower-tree.ts";
import { isDirectory, isOpaque, isWhiteout } from "./overlay-marks.ts";

export interface Change {
  readonly kind: "added" | "modified" | "deleted";
  /** Absolute, seen from inside. */
  readonly path: string;
}

/** A directory before what is in it, names in the order of their bytes. */
export function* upperChanges(upper: Beneath, lower: LowerTree): Generator<Change> {
  yield* changesIn(upper, lower, "" as BytePath);
}

function* changesIn(upper: Beneath, lower: LowerTree, directory: BytePath): Generator<Change> {
  const names = new Set(upper.list(directory));
  // What an opaque directory hides has no mark of its own.
  if (directory !== "" && isOpaque(upper, directory))
    for (const name of lower.list(directory))
      if (!names.has(name)) yield { kind: "deleted", path: shown(joinPath(directory, name)) };
  for (const name of names) {
    const path = joinPath(directory, name);
    const here = upper.stat(path);
    if (here === undefined) continue;
    const below = lower.lookup(path)?.stat;
    if (isWhiteout(here)) {
      if (below !== undefined) yield { kind: "deleted", path: shown(path) };
      continue;
    }
    if (!isDirectory(here)) {
      yield { kind: below === undefined ? "added" : "modified", path: shown(path) };
      continue;
    }
    yield* directoryChanges(path, here, below, changesIn(upper, lower, path));
  }
}

/** A directory is only copied up, not changed, when it looks as before and nothing in it changed. */
function* directoryChanges(
  path: BytePath,
  here: FileStat,
  below: FileStat | undefined,
  inside: Generator<Change>,
): Generator<Change> {
  const first = inside.next();
  if (below === undefined) yield { kind: "added", path: shown(path) };
  else if (first.done !== true || !looksEqual(here, below)) yield { kind: "modified", path: shown(path) };
  if (first.done === true) return;
  yield first.value;
  yield* inside;
}

function looksEqual(one: FileStat, other: FileStat): boolean {
  return (
    one.mode === other.mode &&
    one.uid === other.uid &&
    one.gid === other.gid &&
    one.mtimeNano === other.mtimeNano
  );
}

function shown(path: BytePath): string {
  return `/${pathText(path)}`;
}
