/**
 * A conversation with the kernel about networks (rtnetlink(7)).
 * Owns: one socket, which stays in the network namespace it was opened in. Promises: every request is answered before
 * the call returns. Never: waits for anything but the kernel.
 */
import { FFIType, ptr } from "bun:ffi";
import { check, Errno, libc, pinnedBuffer } from "#kernel/libc.ts";
import { type Attribute, decodeMessages, encodeMessage, type NetlinkMessage } from "./netlink-message.ts";

const { i32, u64, i64 } = FFIType;
const c = libc({
  socket: { args: [i32, i32, i32], returns: i32 },
  send: { args: [i32, FFIType.ptr, u64, i32], returns: i64 },
  recv: { args: [i32, FFIType.ptr, u64, i32], returns: i64 },
  close: { args: [i32], returns: i32 },
});

const netlinkFamily = 16;
const rawCloseOnExec = 0o2000003;
const routeProtocol = 0;
const answer = { error: 2, done: 3 } as const;

export const flag = {
  request: 1,
  acknowledge: 4,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
} as const;

const receiveBuffer = pinnedBuffer(64 << 10);
const receivePointer = ptr(receiveBuffer);

export class Netlink implements Disposable {
  readonly #socket: number;
  #sequence = 0;

  /** In the network namespace of the calling thread. */
  constructor() {
    this.#socket = check(
      c.socket(netlinkFamily, rawCloseOnExec, routeProtocol),
      () => "open a netlink socket",
    );
  }

  /** @throws Errno of the kernel's refusal; `what` says what was tried. */
  change(
    type: number,
    flags: number,
    body: Uint8Array,
    attributes: readonly Attribute[],
    what: string,
  ): void {
    this.#converse(type, flags | flag.request | flag.acknowledge, body, attributes, what);
  }

  /** What the kernel answers to a question about one thing. @throws Errno `ENODEV` and others when there is none. */
  ask(type: number, body: Uint8Array, attributes: readonly Attribute[], what: string): NetlinkMessage[] {
    return this.#converse(type, flag.request | flag.acknowledge, body, attributes, what);
  }

  /** Everything the kernel lists. */
  list(type: number, body: Uint8Array, what: string): NetlinkMessage[] {
    return this.#converse(type, flag.request | flag.dump, body, [], what);
  }

  #converse(
    type: number,
    flags: number,
    body: Uint8Array,
    attributes: readonly Attribute[],
    what: string,
  ): NetlinkMessage[] {
    const sequence = ++this.#sequence;
    const message = encodeMessage({ type, flags, sequence }, body, attributes);
    check(c.send(this.#socket, message, message.length, 0), () => what);
    const seen: NetlinkMessage[] = [];
    for (;;) {
      const length = check(c.recv(this.#socket, receivePointer, receiveBuffer.length, 0), () => what);
      for (const each of decodeMessages(Buffer.from(receiveBuffer.subarray(0, length)))) {
        if (each.sequence !== sequence) continue;
        if (each.type === answer.done) return seen;
        if (each.type !== answer.error) {
          seen.push(each);
          continue;
        }
        const code = each.payload.readInt32LE(0);
        if (code !== 0) throw new Errno(-code, what);
        return seen;
      }
    }
  }

  [Symbol.dispose](): void {
    c.close(this.#socket);
  }
}
