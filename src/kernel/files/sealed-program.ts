/**
 * Programs as sealed memory, memfd_create(2): a copy that nothing can write to any more, run by its descriptor.
 * Why: crun protects itself from containers (CVE-2019-5736) by copying itself so at every start, which costs a second
 * execve and a second load of its libraries. Given to it already sealed, it runs as it is, just as safe.
 */
import { FFIType } from "bun:ffi";
import { readFileSync, writeSync } from "node:fs";
import { check, cString, libc } from "#kernel/libc.ts";
import { closeDescriptor } from "./files-at.ts";

const c = libc({
  memfd_create: { args: [FFIType.cstring, FFIType.u32], returns: FFIType.i32 },
  fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
});

const closeOnExec = 1;
const allowSealing = 2;
const addSeals = 1033;
/** Against further seals, shrinking, growing and writing. */
const allSeals = 0xf;

/** Runs for as long as this process lives and it is not disposed. */
export interface SealedProgram extends Disposable {
  /** What to execute, in this process and in others of the same pid namespace. */
  readonly path: string;
}

/** @throws Errno where the kernel has no such memory, or the file cannot be read. */
export function sealProgram(program: string): SealedProgram {
  const bytes = readFileSync(program);
  const fd = check(
    c.memfd_create(cString("program"), closeOnExec | allowSealing),
    () => `make memory for ${program}`,
  );
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    check(c.fcntl(fd, addSeals, allSeals), () => `seal ${program}`);
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
  return { path: `/proc/${process.pid}/fd/${fd}`, [Symbol.dispose]: () => closeDescriptor(fd) };
}
