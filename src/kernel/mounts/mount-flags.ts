/** What a mount forbids, as the words of mount(8). */
import { FFIType, ptr } from "bun:ffi";
import { check, cString, libc, pinnedBuffer } from "#kernel/libc.ts";

const c = libc({ statfs: { args: [FFIType.ptr, FFIType.ptr], returns: FFIType.i32 } });

/** `struct statfs` is 120 bytes on 64-bit machines, its `f_flags` the eleventh of its words (statfs(2)). */
const answer = pinnedBuffer(128);
const answerPointer = ptr(answer);
const flagsAt = 80;

const words = [
  [1, "ro"],
  [2, "nosuid"],
  [4, "nodev"],
  [8, "noexec"],
] as const;
export type MountRestriction = (typeof words)[number][1];

/** Of the mount that `path` is in. @throws Errno. */
export function mountRestrictions(path: string): MountRestriction[] {
  check(c.statfs(cString(path), answerPointer), () => `look at the mount of ${path}`);
  const flags = answer.readUInt32LE(flagsAt);
  return words.filter(([bit]) => (flags & bit) !== 0).map(([, word]) => word);
}
