/** For tests: the receiving end of unix datagrams. */
import { FFIType } from "bun:ffi";
import { check, libc } from "#kernel/libc.ts";
import { unixAddress } from "./unix-address.ts";

const c = libc({
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
});

const unixFamily = 1;
const datagramNonBlock = 0o4002;
const messageBytesMax = 1 << 20;

export class DatagramReceiver implements Disposable {
  readonly #fd: number;

  constructor(path: string) {
    using address = unixAddress(path);
    this.#fd = check(c.socket(unixFamily, datagramNonBlock, 0), () => "make a socket");
    check(c.bind(this.#fd, address.bytes, address.length), () => `bind ${path}`);
  }

  /** The next message; undefined when there is none now. */
  receive(): Buffer | undefined {
    const buffer = Buffer.alloc(messageBytesMax);
    const length = Number(c.recv(this.#fd, buffer, buffer.length, 0));
    return length < 0 ? undefined : Buffer.from(buffer.subarray(0, length));
  }

  [Symbol.dispose](): void {
    c.close(this.#fd);
  }
}
