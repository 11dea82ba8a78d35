/**
 * What the kernel tells of by itself, to whoever joined a group of a netlink family (netlink(7)).
 * Owns: one socket, in the network namespace it was opened in. Never: asks, or waits in turns.
 */
import { FFIType } from "bun:ffi";
import { check, libc } from "#kernel/libc.ts";
import { Fault } from "#spec/fault.ts";

const { i32, u32 } = FFIType;
const c = libc({
  socket: { args: [i32, i32, i32], returns: i32 },
  bind: { args: [i32, FFIType.ptr, u32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, FFIType.ptr, u32], returns: i32 },
  close: { args: [i32], returns: i32 },
});

const netlinkFamily = 16;
const rawNonBlockCloseOnExec = 0o2004003;
/** `struct sockaddr_nl`. */
const addressBytes = 12;
/** `SOL_SOCKET`, `SO_RCVBUFFORCE`: a large transaction is told of in one go. */
const [socketLevel, receiveBufferForce, usualReceiveBytes] = [1, 33, 4 << 20];

export interface NetlinkListener {
  /** `NETLINK_ROUTE`, `NETLINK_NETFILTER` … */
  readonly protocol: number;
  /** Groups, each a bit. */
  readonly groups: number;
  /** Room for what was not read yet. */
  readonly receiveBytes?: number | undefined;
  /** Whole messages, as they came. */
  readonly received: (bytes: Buffer) => void;
  /** More happened at once than the kernel keeps word of: what, nobody knows. */
  readonly lost: () => void;
  readonly failed: (fault: Fault) => void;
}

/** In the network namespace of the calling thread, until disposed. @throws Errno when the kernel has no such protocol. */
export function followNetlink(listener: NetlinkListener): Disposable {
  const following = new Following(openSocket(listener), listener);
  void following.follow();
  return following;
}

function openSocket({ groups, protocol, receiveBytes = usualReceiveBytes }: NetlinkListener): number {
  const fd = check(c.socket(netlinkFamily, rawNonBlockCloseOnExec, protocol), () => "open a netlink socket");
  const size = Buffer.alloc(4);
  size.writeUInt32LE(receiveBytes, 0);
  c.setsockopt(fd, socketLevel, receiveBufferForce, size, size.length);
  const address = Buffer.alloc(addressBytes);
  address.writeUInt16LE(netlinkFamily, 0);
  address.writeUInt32LE(groups, 8);
  try {
    check(c.bind(fd, address, address.length), () => "listen to the kernel");
    return fd;
  } catch (error) {
    c.close(fd);
    throw error;
  }
}

class Following implements Disposable {
  readonly #listener: NetlinkListener;
  #socket: number;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #closed = false;

  constructor(socket: number, listener: NetlinkListener) {
    this.#socket = socket;
    this.#listener = listener;
  }

  async follow(): Promise<void> {
    try {
      while (!this.#closed) {
        await this.#readAll();
        if (this.#closed) break;
        // A stream over a socket that has failed once stays silent: another socket goes on.
        const broken = this.#socket;
        this.#socket = openSocket(this.#listener);
        c.close(broken);
        this.#listener.lost();
      }
    } catch (thrown) {
      if (!this.#closed) this.#listener.failed(Fault.from(thrown));
    } finally {
      c.close(this.#socket);
    }
  }

  /** Until the kernel has no room for what it would tell. */
  async #readAll(): Promise<void> {
    this.#reader = Bun.file(this.#socket).stream().getReader();
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done || this.#closed) return;
        this.#listener.received(Buffer.from(value));
      }
    } catch (thrown) {
      if (!(thrown instanceof Error && "code" in thrown && thrown.code === "ENOBUFS")) throw thrown;
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    void this.#reader?.cancel().catch(() => undefined);
  }
}
