/**
 * Told by the kernel when nftables rules change, whoever changes them (netlink(7), `NFNLGRP_NFTABLES`).
 * Owns: one socket, in the network namespace it was opened in. Never: asks, or waits in turns.
 */
import { FFIType } from "bun:ffi";
import { Fault } from "#spec/fault.ts";
import { check, libc } from "./libc.ts";
import { type RulesetChange, RulesetChanges } from "./ruleset-changes.ts";

const { i32, u32 } = FFIType;
const c = libc({
  socket: { args: [i32, i32, i32], returns: i32 },
  bind: { args: [i32, FFIType.ptr, u32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, FFIType.ptr, u32], returns: i32 },
  close: { args: [i32], returns: i32 },
});

const netlinkFamily = 16;
const netfilterProtocol = 12;
const rawNonBlockCloseOnExec = 0o2004003;
/** `NFNLGRP_NFTABLES` as a bit. */
const group = 1 << 6;
/** `struct sockaddr_nl`. */
const addressBytes = 12;
/** `SOL_SOCKET`, `SO_RCVBUFFORCE`: a large transaction is told of in one go. */
const [socketLevel, receiveBufferForce, usualReceiveBytes] = [1, 33, 4 << 20];

export interface RulesetWatcher {
  /** In order, each when it has taken effect. */
  readonly changed: (change: RulesetChange) => void;
  /** More changed at once than the kernel keeps word of: what, nobody knows. */
  readonly lost: () => void;
  readonly failed: (fault: Fault) => void;
}

/** In the network namespace of the calling thread, until disposed. @throws Errno when the kernel has no nftables. */
export function watchRulesets(
  watcher: RulesetWatcher,
  o: { readonly receiveBytes?: number } = {},
): Disposable {
  const following = new Following(o.receiveBytes ?? usualReceiveBytes, watcher);
  void following.follow();
  return following;
}

function openSocket(receiveBytes: number): number {
  const fd = check(
    c.socket(netlinkFamily, rawNonBlockCloseOnExec, netfilterProtocol),
    () => "open a netlink socket",
  );
  const size = Buffer.alloc(4);
  size.writeUInt32LE(receiveBytes, 0);
  c.setsockopt(fd, socketLevel, receiveBufferForce, size, size.length);
  const address = Buffer.alloc(addressBytes);
  address.writeUInt16LE(netlinkFamily, 0);
  address.writeUInt32LE(group, 8);
  try {
    check(c.bind(fd, address, address.length), () => "listen to changes of rules");
    return fd;
  } catch (error) {
    c.close(fd);
    throw error;
  }
}

class Following implements Disposable {
  readonly #receiveBytes: number;
  readonly #watcher: RulesetWatcher;
  #socket: number;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #closed = false;

  constructor(receiveBytes: number, watcher: RulesetWatcher) {
    this.#receiveBytes = receiveBytes;
    this.#watcher = watcher;
    this.#socket = openSocket(receiveBytes);
  }

  async follow(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#read();
        break;
      } catch (thrown) {
        if (this.#closed || !this.#again(thrown)) break;
      }
    }
    c.close(this.#socket);
  }

  async #read(): Promise<void> {
    const changes = new RulesetChanges();
    this.#reader = Bun.file(this.#socket).stream().getReader();
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done || this.#closed) return;
      for (const change of changes.take(Buffer.from(value))) this.#watcher.changed(change);
    }
  }

  /** With a socket of its own: Bun does not always read one again that failed once. */
  #again(thrown: unknown): boolean {
    try {
      if (!(thrown instanceof Error && "code" in thrown && thrown.code === "ENOBUFS")) throw thrown;
      const socket = openSocket(this.#receiveBytes);
      c.close(this.#socket);
      this.#socket = socket;
      this.#watcher.lost();
      return true;
    } catch (error) {
      this.#watcher.failed(Fault.from(error));
      return false;
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    void this.#reader?.cancel().catch(() => undefined);
  }
}
