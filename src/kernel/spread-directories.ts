/** A hint to the file system where to put what is made in a directory (ioctl_iflags(2)). */
import { FFIType, ptr } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { libc, pinnedBuffer } from "./libc.ts";

const { i32, u64 } = FFIType;
const c = libc({ ioctl: { args: [i32, u64, FFIType.ptr], returns: i32 } });

/** linux/fs.h, on 64-bit machines. */
const getFlags = 0x8008_6601n;
const setFlags = 0x4008_6602n;
/** `FS_TOPDIR_FL`: directories in here have nothing to do with one another. */
const topOfHierarchies = 0x0002_0000;

const flags = pinnedBuffer(8);

/**
 * Has each new directory in `path` begin in a part of the disk of its own. Without it ext4 puts all trees that come and go
 * into the same few block groups, where looking for an inode goes past every one that was deleted in the last minute: a
 * file takes as long as ten. Where a file system knows no such hint nothing happens.
 */
export function spreadDirectories(path: string): void {
  const fd = openSync(path, "r");
  try {
    flags.fill(0);
    if (c.ioctl(fd, getFlags, ptr(flags)) !== 0) return;
    const known = flags.readUInt32LE(0);
    if ((known & topOfHierarchies) !== 0) return;
    flags.writeUInt32LE((known | topOfHierarchies) >>> 0, 0);
    c.ioctl(fd, setFlags, ptr(flags));
  } finally {
    closeSync(fd);
  }
}
