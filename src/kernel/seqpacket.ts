/** Connections to unix sockets that keep messages apart (SOCK_SEQPACKET, unix(7)), which no library offers. */
import { FFIType } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import { check, libc } from "./libc.ts";

const c = libc({
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
});

const unixFamily = 1;
const seqpacket = 5;
const nonBlockCloseOnExec = 0o2004000;
/** Of `sun_path`, its NUL included. */
const pathBytesMax = 108;

/**
 * A connected, non-blocking descriptor, the caller's to close. The path may be of any length.
 * @throws Errno `ENOENT` or `ECONNREFUSED` when nobody listens.
 */
export function connectSeqpacket(path: string): number {
  // A long path is reached through a descriptor of its directory.
  const directory = Buffer.byteLength(path) < pathBytesMax ? undefined : openSync(dirname(path), "r");
  try {
    const short = directory === undefined ? path : `/proc/self/fd/${directory}/${basename(path)}`;
    const fd = check(c.socket(unixFamily, seqpacket | nonBlockCloseOnExec, 0), () => "make a socket");
    try {
      check(c.connect(fd, address(short), 2 + Buffer.byteLength(short) + 1), () => `connect to ${path}`);
      return fd;
    } catch (error) {
      c.close(fd);
      throw error;
    }
  } finally {
    if (directory !== undefined) closeSync(directory);
  }
}

function address(path: string): Buffer {
  const bytes = Buffer.alloc(2 + pathBytesMax);
  bytes.writeUInt16LE(unixFamily, 0);
  bytes.write(path, 2);
  return bytes;
}
