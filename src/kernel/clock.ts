/** The machine's clock, to the nanosecond (clock_gettime(2)). */
import { FFIType, ptr } from "bun:ffi";
import { check, libc, pinnedBuffer } from "./libc.ts";

const c = libc({ clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 } });

const realtime = 0;
const timespec = pinnedBuffer(16);
const timespecPointer = ptr(timespec);
let last = 0n;

/**
 * Nanoseconds since the epoch. Follows the clock when it is set, but no two calls get the same instant, and none an
 * earlier one within a second: what happened first has the smaller number.
 */
export function nowNano(): bigint {
  check(c.clock_gettime(realtime, timespecPointer), () => "read the clock");
  const now = timespec.readBigInt64LE(0) * 1_000_000_000n + timespec.readBigInt64LE(8);
  last = now <= last && last - now < 1_000_000_000n ? last + 1n : now;
  return last;
}
