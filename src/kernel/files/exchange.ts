/** Two paths change places, atomically (renameat2(2), RENAME_EXCHANGE; Linux 3.15). */
import { FFIType } from "bun:ffi";
import { check, cString, libc } from "#kernel/libc.ts";

const { i32, u32 } = FFIType;
const c = libc({ renameat2: { args: [i32, FFIType.ptr, i32, FFIType.ptr, u32], returns: i32 } });
const currentDirectory = -100;
const exchangeFlag = 2;

/** Both are on one file system. @throws Errno. */
export function exchangePaths(one: string, other: string): void {
  check(
    c.renameat2(currentDirectory, cString(one), currentDirectory, cString(other), exchangeFlag),
    () => `exchange ${one} and ${other}`,
  );
}
