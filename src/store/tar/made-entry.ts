/** Pure. The header of a file or directory that was never on a disk: root's, of no time, the same for the same name and size. */
import { bytePath } from "#kernel/files/byte-path.ts";
import type { TarEntry } from "./tar-entry.ts";
import { encodeEntry } from "./tar-writer.ts";

const nothing = "" as TarEntry["name"];

/** Its content comes after it, then `paddingAfter` that. */
export function madeEntry(kind: "file" | "directory", name: string, sizeBytes: number): Buffer {
  return encodeEntry({
    ...{ kind, name: bytePath(name), linkName: nothing, mode: kind === "file" ? 0o644 : 0o755 },
    ...{ uid: 0, gid: 0, sizeBytes, mtimeNano: 0n, major: 0, minor: 0, xattrs: new Map() },
  });
}
