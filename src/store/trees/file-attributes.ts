/** Extended attributes of files by their paths, but for those that steer an overlay. Never: follows a link at the end. */
import { bytePath } from "#kernel/files/byte-path.ts";
import { getXattr, listXattrs, removeXattr, setXattr } from "#kernel/files/xattr.ts";
import { Errno } from "#kernel/libc.ts";
import { isHousekeeping } from "./overlay-marks.ts";

/** By name, in the order of the names. `path` is absolute. */
export function fileAttributes(path: string): ReadonlyMap<string, Uint8Array> {
  const file = bytePath(path);
  const names = listXattrs(undefined, file).filter((name) => !isHousekeeping(name));
  if (names.length === 0) return none;
  return new Map(names.sort().map((name) => [name, getXattr(undefined, file, name) ?? Buffer.alloc(0)]));
}

/** Those a copy of a client's file can have, by name: what steers an overlay or this kernel is left out. */
export function portableAttributes(
  given: Readonly<Record<string, Uint8Array>>,
): readonly (readonly [string, Uint8Array])[] {
  // Of most files none: nothing is made for them.
  for (const _ in given) return sortedPortable(given);
  return noList;
}

const noList: readonly (readonly [string, Uint8Array])[] = [];

function sortedPortable(given: Readonly<Record<string, Uint8Array>>): [string, Uint8Array][] {
  return Object.entries(given)
    .filter(([name]) => portable.test(name) && !isHousekeeping(name))
    .sort(([left], [right]) => (left < right ? -1 : 1));
}

const portable = /^(?:user|security)\.[^\0]/;

/** Where the file system keeps no such attributes the file is without. `path` is absolute. */
export function setPortableAttributes(
  path: string,
  attributes: readonly (readonly [string, Uint8Array])[],
): void {
  for (const [name, value] of attributes)
    try {
      setXattr(undefined, bytePath(path), name, value);
    } catch (error) {
      // A user's attributes belong to files and directories alone; of others a client says what its kernel let it.
      if (!(error instanceof Errno) || !["EOPNOTSUPP", "EPERM"].includes(error.code)) throw error;
    }
}

/** `path` is absolute. */
export function clearAttributes(path: string): void {
  for (const name of fileAttributes(path).keys())
    if (portable.test(name)) removeXattr(undefined, bytePath(path), name);
}

/** A file system that keeps no attributes of a user's keeps none. To be called after a change of owner, which takes capabilities away. */
export function copyFileAttributes(from: string, to: string): void {
  for (const [name, value] of fileAttributes(from))
    try {
      setXattr(undefined, bytePath(to), name, value);
    } catch (error) {
      const kept = error instanceof Errno && error.code === "EOPNOTSUPP" && !name.startsWith("security.");
      if (!kept) throw error;
    }
}

const none: ReadonlyMap<string, Uint8Array> = new Map();
