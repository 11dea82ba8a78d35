/**
 * A connection by Bun's own sockets: they say how much the kernel took of what was sent, where Node's copy the rest and
 * keep it. Half the time of a large upload.
 */
import type { EngineAddress } from "./address.ts";
import type { Wire } from "./wire.ts";

/** Received and not yet read, in bytes: then the other side waits. */
const queuedBytesMax = 512 << 10;

export class BunWire implements Wire {
  #socket: Bun.Socket<undefined> | undefined;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #paused = false;
  #ended = false;
  #closed = false;
  #failure: Error | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeSender: (() => void) | undefined;

  private constructor() {}

  static async open(address: EngineAddress): Promise<BunWire> {
    const wire = new BunWire();
    const socket: Bun.SocketHandler<undefined> = {
      data: (_, part) => wire.#take(part),
      drain: () => wire.#wake(),
      end: () => wire.#end(),
      error: (_, error) => wire.#close(error),
      close: (_, error) => wire.#close(error),
    };
    const o = { socket, data: undefined, allowHalfOpen: true };
    wire.#socket =
      address.kind === "unix"
        ? await Bun.connect({ ...o, unix: address.path })
        : await Bun.connect({ ...o, hostname: address.hostname, port: address.port });
    return wire;
  }

  get writable(): boolean {
    return !this.#closed;
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#closed; ) {
      const taken = this.#socket?.write(bytes, at, bytes.length - at) ?? -1;
      if (taken < 0) return;
      at += taken;
      if (at < bytes.length && !this.#closed)
        await new Promise<void>((resolve) => {
          this.#wakeSender = resolve;
        });
    }
  }

  readonly incoming: AsyncIterator<Uint8Array> = { next: async () => await this.#next() };

  async #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      const value = this.#queue.shift();
      if (value !== undefined) {
        this.#queuedBytes -= value.length;
        if (this.#paused && this.#queuedBytes < queuedBytesMax) {
          this.#paused = false;
          this.#socket?.resume();
        }
        return { value };
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  destroy(reason?: Error): void {
    this.#close(reason);
    this.#socket?.terminate();
  }

  #take(part: Uint8Array): void {
    if (this.#closed) return;
    this.#queue.push(part);
    this.#queuedBytes += part.length;
    if (this.#queuedBytes >= queuedBytesMax) {
      this.#paused = true;
      this.#socket?.pause();
    }
    this.#wake();
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }

  #close(error: Error | undefined): void {
    this.#failure ??= error;
    this.#closed = true;
    this.#end();
  }

  #wake(): void {
    const [reader, sender] = [this.#wakeReader, this.#wakeSender];
    this.#wakeReader = undefined;
    this.#wakeSender = undefined;
    reader?.();
    sender?.();
  }
}
