/**
 * File system calls relative to an open directory, the raw layer beneath `Beneath`.
 * Owns: buffers for arguments, reused by every call. Promises: synchronous; every descriptor is close-on-exec; a failed
 * call throws an `Errno`. Never: decides what a path may reach; a name with a slash goes where the kernel takes it.
 */
import { FFIType, type Pointer, ptr } from "bun:ffi";
import { constants } from "node:fs";
import { constants as osConstants } from "node:os";
import { check, Errno, errno, libc, pinnedBuffer } from "#kernel/libc.ts";
import { type BytePath, pathBytesMax, pathText } from "./byte-path.ts";

const { errno: errnoNumbers } = osConstants;
const { i32, u32, i64, u64 } = FFIType;
/** A number where it fits: a bigint for each call is work of its own. */
const length = FFIType.i64_fast;
const pointer = FFIType.ptr;

const c = libc({
  openat: { args: [i32, pointer, i32, u32], returns: i32 },
  close: { args: [i32], returns: i32 },
  read: { args: [i32, pointer, u64], returns: length },
  pwrite: { args: [i32, pointer, u64, i64], returns: length },
  lseek: { args: [i32, i64, i32], returns: i64 },
  ftruncate: { args: [i32, i64], returns: i32 },
  fchmod: { args: [i32, u32], returns: i32 },
  fchown: { args: [i32, u32, u32], returns: i32 },
  futimens: { args: [i32, pointer], returns: i32 },
  chmod: { args: [pointer, u32], returns: i32 },
  fchownat: { args: [i32, pointer, u32, u32, i32], returns: i32 },
  utimensat: { args: [i32, pointer, pointer, i32], returns: i32 },
  mkdirat: { args: [i32, pointer, u32], returns: i32 },
  unlinkat: { args: [i32, pointer, i32], returns: i32 },
  renameat: { args: [i32, pointer, i32, pointer], returns: i32 },
  symlinkat: { args: [pointer, i32, pointer], returns: i32 },
  linkat: { args: [i32, pointer, i32, pointer, i32], returns: i32 },
  mknodat: { args: [i32, pointer, u32, u64], returns: i32 },
  readlinkat: { args: [i32, pointer, pointer, u64], returns: length },
  statx: { args: [i32, pointer, i32, u32, pointer], returns: i32 },
  getdents64: { args: [i32, pointer, u64], returns: length },
});

/** `open(2)`'s flags; `O_CLOEXEC` is always added. */
export const openFlag = {
  read: constants.O_RDONLY,
  write: constants.O_WRONLY,
  create: constants.O_CREAT,
  exclusive: constants.O_EXCL,
  directory: constants.O_DIRECTORY,
  noFollow: constants.O_NOFOLLOW,
  nonBlocking: constants.O_NONBLOCK,
  /** A handle on the place only: no permission asked, devices and pipes not opened. */
  path: 0o10000000,
} as const;

export const closeOnExec = 0o2000000;
const atSymlinkNoFollow = 0x100;
const atRemoveDirectory = 0x200;
const atEmptyPath = 0x1000;
const statxBasic = 0x7ff;

/** The kind bits of `FileStat.mode`. */
export const fileKind = {
  mask: constants.S_IFMT,
  file: constants.S_IFREG,
  directory: constants.S_IFDIR,
  symlink: constants.S_IFLNK,
  fifo: constants.S_IFIFO,
  socket: constants.S_IFSOCK,
  character: constants.S_IFCHR,
  block: constants.S_IFBLK,
} as const;

export interface FileStat {
  /** Kind and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Units of 512 bytes in use. */
  readonly blocks: number;
  readonly linkCount: number;
  readonly inode: bigint;
  /** Device the file is on, `major:minor`. */
  readonly device: string;
  readonly mtimeNano: bigint;
  /** Of a device file. */
  readonly major: number;
  readonly minor: number;
}

const nameBuffers = [pinnedBuffer(pathBytesMax + 1), pinnedBuffer(pathBytesMax + 1)] as const;
const [first, second] = [ptr(nameBuffers[0]), ptr(nameBuffers[1])];
const outBuffer = pinnedBuffer(64 << 10);
const out = ptr(outBuffer);
const outView = new DataView(outBuffer.buffer, outBuffer.byteOffset, outBuffer.byteLength);
const timesBuffer = pinnedBuffer(32);
const times = ptr(timesBuffer);

function fill(index: 0 | 1, path: string): Pointer {
  const buffer = nameBuffers[index];
  if (path.length > pathBytesMax) throw new Errno(nameTooLong, pathText(path.slice(0, 64) as BytePath));
  buffer.write(path, 0, "latin1");
  buffer[path.length] = 0;
  return index === 0 ? first : second;
}
const nameTooLong = 36;

/** The path of a descriptor in /proc, which calls without an `at` form accept. */
export function descriptorPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** The caller closes it. */
export function openAt(directory: number, path: BytePath, flags: number, mode = 0): number {
  return check(c.openat(directory, fill(0, path), flags | closeOnExec, mode), () => `open ${pathText(path)}`);
}

/** Opens for reading what a handle (`openFlag.path`) is on. Never waits for the other end of a pipe. */
export function reopen(handle: number, flags: number = openFlag.read): number {
  return openAt(handle, descriptorPath(handle) as BytePath, flags | openFlag.nonBlocking);
}

/** Ignores a failure: there is nothing to do about it. */
export function closeDescriptor(fd: number): void {
  c.close(fd);
}

/** Fills `buffer`, or `length` bytes of it from `offset` on, from the descriptor's position; 0 at the end. May read less than fits. */
export function readInto(
  fd: number,
  buffer: Uint8Array,
  {
    offset = 0,
    length = buffer.length - offset,
  }: { readonly offset?: number; readonly length?: number } = {},
): number {
  if (length === 0) return 0;
  return check(c.read(fd, (ptr(buffer) + offset) as Pointer, length), () => "read");
}

/** Writes all of `bytes` at `offset`. */
export function writeAt(fd: number, bytes: Uint8Array, offset: number): void {
  if (bytes.length === 0) return;
  const start = ptr(bytes);
  for (let done = 0; done < bytes.length; )
    done += check(c.pwrite(fd, (start + done) as Pointer, bytes.length - done, offset + done), () => "write");
}

/** The next offset at or after `offset` that holds data, or undefined when only a hole follows. */
export function seekData(fd: number, offset: number): number | undefined {
  const found = c.lseek(fd, offset, 3);
  if (Number(found) >= 0) return Number(found);
  if (errno() === 6) return undefined;
  return check(-1, () => "seek");
}

/** The next offset at or after `offset` where a hole or the end begins. */
export function seekHole(fd: number, offset: number): number {
  return check(c.lseek(fd, offset, 4), () => "seek");
}

/** Moves the position, counted from the start. */
export function seekTo(fd: number, offset: number): void {
  check(c.lseek(fd, offset, 0), () => "seek");
}

export function truncate(fd: number, sizeBytes: number): void {
  check(c.ftruncate(fd, sizeBytes), () => "truncate");
}

export function chmodDescriptor(fd: number, mode: number): void {
  check(c.fchmod(fd, mode), () => "chmod");
}

export function chownDescriptor(fd: number, uid: number, gid: number): void {
  check(c.fchown(fd, uid, gid), () => "chown");
}

function fillTimes(mtimeNano: bigint): Pointer {
  const billion = 1_000_000_000n;
  const nanoseconds = ((mtimeNano % billion) + billion) % billion;
  const seconds = (mtimeNano - nanoseconds) / billion;
  for (const offset of [0, 16]) {
    timesBuffer.writeBigInt64LE(seconds, offset);
    timesBuffer.writeBigInt64LE(nanoseconds, offset + 8);
  }
  return times;
}

/** Sets access and modification time. */
export function setTimesDescriptor(fd: number, mtimeNano: bigint): void {
  check(c.futimens(fd, fillTimes(mtimeNano)), () => "set times");
}

/** Does not follow a link. */
export function setTimesAt(directory: number, name: BytePath, mtimeNano: bigint): void {
  const stamp = fillTimes(mtimeNano);
  check(
    c.utimensat(directory, fill(0, name), stamp, atSymlinkNoFollow),
    () => `set times of ${pathText(name)}`,
  );
}

/** Does not follow a link. */
export function chownAt(directory: number, name: BytePath, uid: number, gid: number): void {
  check(c.fchownat(directory, fill(0, name), uid, gid, atSymlinkNoFollow), () => `chown ${pathText(name)}`);
}

/**
 * Does not follow a link, nor change one. Needs /proc.
 * @throws Errno `ELOOP` for a link, as opening it without following does: the kernel's own EOPNOTSUPP would say that the
 * machine cannot do it.
 */
export function chmodAt(directory: number, name: BytePath, mode: number): void {
  const fd = openAt(directory, name, openFlag.path | openFlag.noFollow);
  try {
    if (c.chmod(fill(0, descriptorPath(fd)), mode) === 0) return;
    const failed = errno();
    const { EOPNOTSUPP, ELOOP } = errnoNumbers;
    throw new Errno(failed === EOPNOTSUPP ? ELOOP : failed, `chmod ${pathText(name)}`);
  } finally {
    c.close(fd);
  }
}

export function makeDirectoryAt(directory: number, name: BytePath, mode: number): void {
  check(c.mkdirat(directory, fill(0, name), mode), () => `mkdir ${pathText(name)}`);
}

/** Removes a file, or an empty directory when `isDirectory`. */
export function removeAt(directory: number, name: BytePath, isDirectory: boolean): void {
  check(
    c.unlinkat(directory, fill(0, name), isDirectory ? atRemoveDirectory : 0),
    () => `remove ${pathText(name)}`,
  );
}

export function renameAt(fromDirectory: number, from: BytePath, toDirectory: number, to: BytePath): void {
  check(
    c.renameat(fromDirectory, fill(0, from), toDirectory, fill(1, to)),
    () => `rename ${pathText(from)} to ${pathText(to)}`,
  );
}

export function symlinkAt(target: BytePath, directory: number, name: BytePath): void {
  check(c.symlinkat(fill(0, target), directory, fill(1, name)), () => `symlink ${pathText(name)}`);
}

/** A link that is `from` is itself linked, not followed. */
export function linkAt(fromDirectory: number, from: BytePath, directory: number, name: BytePath): void {
  check(
    c.linkat(fromDirectory, fill(0, from), directory, fill(1, name), 0),
    () => `link ${pathText(name)} to ${pathText(from)}`,
  );
}

/** `mode` holds the kind: a device, a pipe, or an empty file. The process's umask applies. */
export function makeNodeAt(
  directory: number,
  name: BytePath,
  mode: number,
  major: number,
  minor: number,
): void {
  const device =
    (BigInt(major & 0xfff) << 8n) |
    BigInt(minor & 0xff) |
    (BigInt(minor >>> 8) << 20n) |
    (BigInt(major >>> 12) << 44n);
  check(c.mknodat(directory, fill(0, name), mode, device), () => `mknod ${pathText(name)}`);
}

export function readLinkAt(directory: number, name: BytePath): BytePath {
  const length = check(
    c.readlinkat(directory, fill(0, name), out, pathBytesMax + 1),
    () => `readlink ${pathText(name)}`,
  );
  return outBuffer.toString("latin1", 0, length) as BytePath;
}

/** Does not follow a link; undefined when there is nothing. An empty name means `directory` itself. */
export function statAt(directory: number, name: BytePath): FileStat | undefined {
  const result = c.statx(directory, fill(0, name), atSymlinkNoFollow | atEmptyPath, statxBasic, out);
  if (result === -1) {
    const failure = new Errno(errno(), `stat ${pathText(name)}`);
    if (failure.code === "ENOENT") return undefined;
    throw failure;
  }
  return decodeStat();
}

/** Of an open descriptor. */
export function statDescriptor(fd: number): FileStat {
  const stat = statAt(fd, "" as BytePath);
  if (stat === undefined) throw new Errno(2, "stat");
  return stat;
}

function decodeStat(): FileStat {
  const seconds = outView.getBigInt64(112, true);
  return {
    mode: outView.getUint16(28, true),
    uid: outView.getUint32(20, true),
    gid: outView.getUint32(24, true),
    sizeBytes: number64(40),
    blocks: number64(48),
    linkCount: outView.getUint32(16, true),
    inode: outView.getBigUint64(32, true),
    device: `${outView.getUint32(136, true)}:${outView.getUint32(140, true)}`,
    mtimeNano: seconds * 1_000_000_000n + BigInt(outView.getUint32(120, true)),
    major: outView.getUint32(128, true),
    minor: outView.getUint32(132, true),
  };
}

/** Without a bigint in between. Exact up to 2^53. */
function number64(offset: number): number {
  return outView.getUint32(offset + 4, true) * 0x1_0000_0000 + outView.getUint32(offset, true);
}

/** The names in an open directory from its position on, without `.` and `..`, in no order. */
export function listDescriptor(fd: number): BytePath[] {
  return listKinds(fd, () => true);
}

/** Those of directories alone. */
export function listDirectories(fd: number): BytePath[] {
  const unsure: BytePath[] = [];
  const sure = listKinds(fd, (kind, name) => {
    // Some file systems do not say.
    if (kind === unknownKind) unsure.push(name);
    return kind === directoryKind;
  });
  const isDirectory = (name: BytePath) =>
    ((statAt(fd, name)?.mode ?? 0) & fileKind.mask) === fileKind.directory;
  return [...sure, ...unsure.filter(isDirectory)];
}
/** getdents64(2), `d_type`. */
const unknownKind = 0;
const directoryKind = 4;

function listKinds(fd: number, wanted: (kind: number, name: BytePath) => boolean): BytePath[] {
  const names: BytePath[] = [];
  for (;;) {
    const length = check(c.getdents64(fd, out, outBuffer.length), () => "list a directory");
    if (length === 0) return names;
    for (let at = 0; at < length; ) {
      const start = at + 19;
      const name = outBuffer.toString("latin1", start, outBuffer.indexOf(0, start)) as BytePath;
      if (name !== "." && name !== ".." && wanted(outBuffer[at + 18] ?? 0, name)) names.push(name);
      at += outView.getUint16(at + 16, true);
    }
  }
}
