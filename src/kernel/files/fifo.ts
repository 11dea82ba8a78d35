/** Pipes with a name (fifo(7)). */
import { FFIType } from "bun:ffi";
import { check, cString, libc } from "#kernel/libc.ts";

const c = libc({ mkfifo: { args: [FFIType.cstring, FFIType.u32], returns: FFIType.i32 } });

/** What a pipe holds before its writer waits (pipe(7)). */
export const pipeBytes = 64 << 10;

/** For its owner alone. @throws Errno `EEXIST`. */
export function makeFifo(path: string): void {
  check(c.mkfifo(cString(path), 0o600), () => `make the pipe ${path}`);
}
