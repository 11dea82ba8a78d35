/** Advisory locks of whole files, flock(2): gone with the process that holds them, however it ends. */
import { FFIType } from "bun:ffi";
import { constants } from "node:fs";
import { Errno, errno, libc } from "#kernel/libc.ts";
import { bytePath } from "./byte-path.ts";
import { closeDescriptor, openAt } from "./files-at.ts";

const c = libc({ flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } });

const exclusive = 2;
const withoutWaiting = 4;

/** Disposing lets go. The descriptor is not inherited by children. */
export interface FileLock extends Disposable {
  readonly fd: number;
}

/** Locks `path`, made when missing; undefined when another process has it. */
export function lockFile(path: string): FileLock | undefined {
  const fd = openAt(-100, bytePath(path), constants.O_RDWR | constants.O_CREAT, 0o600);
  if (c.flock(fd, exclusive | withoutWaiting) === 0)
    return { fd, [Symbol.dispose]: () => closeDescriptor(fd) };
  const failure = new Errno(errno(), `lock ${path}`);
  closeDescriptor(fd);
  if (failure.code === "EAGAIN") return undefined;
  throw failure;
}
