/** Extended attributes of files by their paths, but for those that steer an overlay. Never: follows a link at the end. */
import { bytePath } from "#kernel/files/byte-path.ts";
import { getXattr, listXattrs, setXattr } from "#kernel/files/xattr.ts";
import { Errno } from "#kernel/libc.ts";
import { isHousekeeping } from "./overlay-marks.ts";

/** By name, in the order of the names. `path` is absolute. */
export function fileAttributes(path: string): ReadonlyMap<string, Uint8Array> {
  const file = bytePath(path);
  const names = listXattrs(undefined, file).filter((name) => !isHousekeeping(name));
  if (names.length === 0) return none;
  return new Map(names.sort().map((name) => [name, getXattr(undefined, file, name) ?? Buffer.alloc(0)]));
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
