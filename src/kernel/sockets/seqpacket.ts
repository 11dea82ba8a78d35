/** Connections to unix sockets that keep messages apart (SOCK_SEQPACKET, unix(7)), which no library offers. */
import { FFIType } from "bun:ffi";
import { check, libc } from "#kernel/libc.ts";
import { unixAddress } from "./unix-address.ts";

const c = libc({
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
});

const unixFamily = 1;
const seqpacket = 5;
const nonBlockCloseOnExec = 0o2004000;

/**
 * A connected, non-blocking descriptor, the caller's to close. The path may be of any length.
 * @throws Errno `ENOENT` or `ECONNREFUSED` when nobody listens.
 */
export function connectSeqpacket(path: string): number {
  using address = unixAddress(path);
  const fd = check(c.socket(unixFamily, seqpacket | nonBlockCloseOnExec, 0), () => "make a socket");
  try {
    check(c.connect(fd, address.bytes, address.length), () => `connect to ${path}`);
    return fd;
  } catch (error) {
    c.close(fd);
    throw error;
  }
}
