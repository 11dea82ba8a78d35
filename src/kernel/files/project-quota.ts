/**
 * Limits of what a directory and all beneath it may hold, by project quotas (quotactl_fd(2); ext4 and xfs have them).
 * Promises: what is made in a limited directory from then on counts, whoever makes it. Never: reaches another project.
 */

import { FFIType, ptr } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { check, Errno, libc, pinnedBuffer } from "#kernel/libc.ts";

const { i32, u32, i64, u64 } = FFIType;
const pointer = FFIType.ptr;

const c = libc({
  syscall: { args: [i64, i32, u32, u32, pointer], returns: i64 },
  ioctl: { args: [i32, u64, pointer], returns: i32 },
});

/** The same on all machines (asm-generic/unistd.h), Linux 5.14 or newer. */
const quotactlFd = 443;
/** QCMD of linux/quota.h, for projects. */
const command = (name: number): number => ((name << 8) | 2) >>> 0;
const getQuota = command(0x80_0007);
const setQuota = command(0x80_0008);
/** Q_XGETQSTAT of linux/dqblk_xfs.h. */
const getState = command(0x5805);
/** FS_QUOTA_PDQ_ENFD: limits of projects are kept. */
const enforced = 1 << 5;
/** linux/fs.h. */
const getAttributes = 0x801c_581fn;
const setAttributes = 0x401c_5820n;
const inheritProject = 0x200;
const blocksValid = 1;
const blockBytes = 1024;

/** `struct if_dqblk`, `struct fs_quota_stat`. */
const quota = pinnedBuffer(128);
/** `struct fsxattr`. */
const attributes = pinnedBuffer(28);

/** Project numbers given to directories: high ones, out of the way of those that people write down. */
const [leastProject, projectSpan] = [0x4000_0000, 0x3fff_ffff];
/** Of numbers that are tried before the file system counts as full of projects. */
const attemptsMax = 64;

/** Whether limits would be kept on the file system of a directory. */
export function keepsProjectQuotas(directory: string): boolean {
  return withDirectory(directory, (fd) => {
    quota.fill(0);
    // FS_QSTAT_VERSION
    quota[0] = 1;
    if (c.syscall(quotactlFd, fd, getState, 0, ptr(quota)) === -1n) return false;
    return (quota.readUInt16LE(2) & enforced) !== 0;
  });
}

/**
 * Limits what an empty directory may hold, in bytes, by a project of its own. `name` decides which number is tried first.
 * @throws Errno where the file system cannot.
 */
export function limitDirectory(directory: string, sizeBytes: number, name: string): void {
  withDirectory(directory, (fd) => {
    const project = freeProject(fd, name);
    writeLimit(fd, project, sizeBytes);
    readAttributes(fd);
    attributes.writeUInt32LE(attributes.readUInt32LE(0) | inheritProject, 0);
    attributes.writeUInt32LE(project, 12);
    check(c.ioctl(fd, setAttributes, ptr(attributes)), () => `FS_IOC_FSSETXATTR ${directory}`);
  });
}

/** Whether a directory has a limit of `limitDirectory`'s; false also where there are no projects. */
export function isLimited(directory: string): boolean {
  return withDirectory(directory, (fd) => {
    if (c.ioctl(fd, getAttributes, ptr(attributes)) !== 0) return false;
    const project = attributes.readUInt32LE(12);
    if (project < leastProject) return false;
    quota.fill(0);
    if (c.syscall(quotactlFd, fd, getQuota, project, ptr(quota)) === -1n) return false;
    return quota.readBigUInt64LE(0) > 0n;
  });
}

/** Of a directory that goes: its project has no limit any more. Idempotent, also where there are no projects. */
export function unlimitDirectory(directory: string): void {
  withDirectory(directory, (fd) => {
    if (c.ioctl(fd, getAttributes, ptr(attributes)) !== 0) return;
    const project = attributes.readUInt32LE(12);
    if (project >= leastProject) writeLimit(fd, project, 0);
  });
}

/** One that nothing counts towards. */
function freeProject(fd: number, name: string): number {
  const from = Number(BigInt(Bun.hash(name)) % BigInt(projectSpan));
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const project = leastProject + ((from + attempt) % projectSpan);
    quota.fill(0);
    // ENOENT: nobody ever had it.
    if (c.syscall(quotactlFd, fd, getQuota, project, ptr(quota)) === -1n) return project;
    const [limit, used] = [quota.readBigUInt64LE(0), quota.readBigUInt64LE(16)];
    if (limit === 0n && used === 0n) return project;
  }
  throw new Errno(28, "a project number for a quota");
}

function writeLimit(fd: number, project: number, sizeBytes: number): void {
  quota.fill(0);
  const blocks = BigInt(Math.ceil(sizeBytes / blockBytes));
  quota.writeBigUInt64LE(blocks, 0);
  quota.writeBigUInt64LE(blocks, 8);
  quota.writeUInt32LE(blocksValid, 64);
  check(c.syscall(quotactlFd, fd, setQuota, project, ptr(quota)), () => `Q_SETQUOTA of project ${project}`);
}

function readAttributes(fd: number): void {
  check(c.ioctl(fd, getAttributes, ptr(attributes)), () => "FS_IOC_FSGETXATTR");
}

function withDirectory<R>(directory: string, work: (fd: number) => R): R {
  const fd = openSync(directory, "r");
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}
