/**
 * libc by FFI: the table opener and errno. Every other kernel file binds the symbols it needs through `libc`.
 * Owns: errno. Promises: a failed call throws an `Errno`, never returns -1. Never: blocks for long.
 */
import { dlopen, type FFIFunction, FFIType, read } from "bun:ffi";
import { constants } from "node:os";
import { Fault, type FaultKind } from "#spec/fault.ts";

const soname = "libc.so.6";

/** Opens libc with just these symbols. Cheap (microseconds); call it once at the top of a file. */
export function libc<Table extends Record<string, FFIFunction>>(table: Table) {
  return dlopen(soname, table).symbols;
}

const { __errno_location } = libc({ __errno_location: { args: [], returns: FFIType.ptr } });

/** EAGAIN has a second name, which nobody looks for. */
const errnoNames = new Map<number, string>(
  Object.entries(constants.errno)
    .filter(([name]) => name !== "EWOULDBLOCK")
    .map(([name, number]) => [number, name]),
);

const faultKinds: Readonly<Record<string, FaultKind>> = {
  ENOENT: "not-found",
  ESRCH: "not-found",
  EEXIST: "conflict",
  EBUSY: "conflict",
  ENOTEMPTY: "conflict",
  EPERM: "denied",
  EACCES: "denied",
  EROFS: "denied",
  EINVAL: "invalid",
  ENOTDIR: "invalid",
  ENAMETOOLONG: "invalid",
  ELOOP: "invalid",
  ENOSPC: "unavailable",
  EDQUOT: "unavailable",
  EMFILE: "unavailable",
  ENFILE: "unavailable",
  ENODEV: "unsupported",
  ENOSYS: "unsupported",
  EOPNOTSUPP: "unsupported",
  ETIMEDOUT: "timeout",
};

/** A failed system call. `code` is errno's name as Node spells it (`ENOENT`), so `error.code` checks work on both. */
export class Errno extends Fault {
  readonly errno: number;
  readonly code: string;

  constructor(errno: number, what: string) {
    const code = errnoNames.get(errno) ?? `E${errno}`;
    super(faultKinds[code] ?? "internal", `${what}: ${code}`);
    this.name = "Errno";
    this.errno = errno;
    this.code = code;
  }
}

/** The calling thread's errno. Valid only directly after a failed call. */
export function errno(): number {
  const location = __errno_location();
  return location === null ? 0 : read.i32(location, 0);
}

/**
 * Returns `result`, or throws the `Errno` that the call just made left behind when it is -1.
 * `what` says what was tried, for the message; a function, so that the happy path formats nothing.
 */
export function check(result: number | bigint, what: () => string): number {
  if (result === -1 || result === -1n) throw new Errno(errno(), what());
  return Number(result);
}

/** A NUL-terminated copy for a `const char *` argument. @throws Fault `invalid` when the text holds a NUL. */
export function cString(text: string): Buffer {
  if (text.includes("\0")) throw new Fault("invalid", `a NUL byte in ${JSON.stringify(text)}`);
  return Buffer.from(`${text}\0`);
}

/**
 * Memory whose address stays, for pointers that are taken once. A small Buffer made in another way moves when anything,
 * the engine's own code included, asks for its `buffer`; the pointer then leads to memory that is someone else's.
 */
export function pinnedBuffer(sizeBytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(sizeBytes));
}
