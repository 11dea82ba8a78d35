/** Datagrams to a unix socket (SOCK_DGRAM, unix(7)), as journald and local syslogs take them; no library offers it. */
import { FFIType } from "bun:ffi";
import { check, Errno, errno, libc } from "#kernel/libc.ts";
import { unixAddress } from "./unix-address.ts";

const c = libc({
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
});

const unixFamily = 1;
const datagramCloseOnExec = 0o2000002;
const dontWaitNoSignal = 0x4040;

export class UnixDatagram implements Disposable {
  readonly #path: string;
  #fd: number;

  private constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  /** @throws Errno `ENOENT` or `ECONNREFUSED` when nobody listens, `EPROTOTYPE` when the socket is of another kind. */
  static connect(path: string): UnixDatagram {
    const fd = check(c.socket(unixFamily, datagramCloseOnExec, 0), () => "make a socket");
    try {
      using address = unixAddress(path);
      check(c.connect(fd, address.bytes, address.length), () => `connect to ${path}`);
      return new UnixDatagram(fd, path);
    } catch (error) {
      c.close(fd);
      throw error;
    }
  }

  /** False when the receiver has not read what it got before: try again later. @throws Errno when it is gone. */
  send(bytes: Uint8Array): boolean {
    if (c.send(this.#fd, bytes, bytes.length, dontWaitNoSignal) >= 0) return true;
    const failure = new Errno(errno(), `send to ${this.#path}`);
    if (["EAGAIN", "EWOULDBLOCK", "ENOBUFS"].includes(failure.code)) return false;
    throw failure;
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) c.close(this.#fd);
    this.#fd = -1;
  }
}
