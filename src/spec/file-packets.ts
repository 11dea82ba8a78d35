/**
 * Pure. The protocol that keeps a directory equal to one on another machine, and Go's file modes in it.
 * Sources: tonistiigi/fsutil types/{wire,stat}.proto, send.go, receive.go; Go's os.FileMode.
 */
import {
  bigInt64,
  bytes,
  bytesMap,
  int32,
  int64,
  message,
  type Read,
  string,
  sub,
  uint32,
  type Written,
} from "./proto-message.ts";

export const StatMessage = message({
  /** Relative, parts joined by `/`. */
  path: string(1),
  /** Go's. */
  mode: uint32(2),
  uid: uint32(3),
  gid: uint32(4),
  size: int64(5),
  /** Nanoseconds since 1970. */
  modTime: bigInt64(6),
  /** Of a symbolic link its target; of a file the earlier path it is the same file as. */
  linkname: string(7),
  devmajor: int64(8),
  devminor: int64(9),
  xattrs: bytesMap(10),
});
export type FileStat = Read<typeof StatMessage>;
export type FileStatWritten = Written<typeof StatMessage>;

export const packetType = { stat: 0, request: 1, data: 2, end: 3, error: 4 } as const;
export const Packet = message({ type: int32(1), stat: sub(2, StatMessage), ID: uint32(3), data: bytes(4) });

const goDirectory = 2 ** 31;
const goSymlink = 1 << 27;
const goDevice = 1 << 26;
const goPipe = 1 << 25;
const goSocket = 1 << 24;
const goSetuid = 1 << 23;
const goSetgid = 1 << 22;
const goCharDevice = 1 << 21;
const goSticky = 1 << 20;

export type FileKind = "file" | "directory" | "symlink" | "device" | "pipe" | "socket";

export function kindOf(mode: number): FileKind {
  if (mode >= goDirectory) return "directory";
  if ((mode & goSymlink) !== 0) return "symlink";
  if ((mode & goDevice) !== 0) return "device";
  if ((mode & goPipe) !== 0) return "pipe";
  return (mode & goSocket) !== 0 ? "socket" : "file";
}

/** The low twelve bits as Unix has them. */
export function permissionsOf(mode: number): number {
  let permissions = mode & 0o777;
  if ((mode & goSetuid) !== 0) permissions |= 0o4000;
  if ((mode & goSetgid) !== 0) permissions |= 0o2000;
  if ((mode & goSticky) !== 0) permissions |= 0o1000;
  return permissions;
}

const unixFormat = 0o170000;
const goByFormat = new Map([
  [0o040000, goDirectory],
  [0o120000, goSymlink],
  [0o060000, goDevice],
  [0o020000, goDevice + goCharDevice],
  [0o010000, goPipe],
  [0o140000, goSocket],
]);

/** From `st_mode`. */
export function goMode(unix: number): number {
  let mode = (unix & 0o777) + (goByFormat.get(unix & unixFormat) ?? 0);
  if ((unix & 0o4000) !== 0) mode += goSetuid;
  if ((unix & 0o2000) !== 0) mode += goSetgid;
  if ((unix & 0o1000) !== 0) mode += goSticky;
  return mode;
}
