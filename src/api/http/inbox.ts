import type { Socket } from "node:net";

/** Bytes received but not yet read at which the socket is paused, so that the peer feels it. */
export const inboxBytesMax = 256 * 1024;

/**
 * The receiving half of one connection as a queue of chunks with room to give bytes back. One reader at a time: a later
 * `read` takes over, and one that was waiting before it never resolves.
 * Bounded: a peer that sends faster than it is read is paused at `inboxBytesMax`.
 */
export class Inbox {
  readonly #socket: Socket;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #paused = false;
  #ended = false;
  #wake: (() => void) | undefined;
  #onGone: (() => void) | undefined;

  /** Takes over reading from `socket`, which must not have another reader. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#receive);
    socket.on("end", this.#finish);
    socket.on("close", this.#finish);
  }

  /** True when nothing more can come: the peer closed its writing half, or the connection is gone. */
  get ended(): boolean {
    return this.#ended && this.#chunks.length === 0;
  }

  /**
   * Calls back once, when everything is read and the peer has closed its writing half, or the connection is gone;
   * replaces an earlier callback.
   */
  whenGone(callback: (() => void) | undefined): void {
    this.#onGone = callback;
    this.#tellGone();
  }

  /** The next bytes in order, at least one; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#bytes -= chunk.length;
        if (this.#paused && this.#bytes < inboxBytesMax) {
          this.#paused = false;
          this.#socket.resume();
        }
        this.#tellGone();
        return chunk;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Gives bytes back: the next `read` returns them first. */
  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.unshift(bytes);
    this.#bytes += bytes.length;
  }

  readonly #receive = (chunk: Uint8Array): void => {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= inboxBytesMax) {
      this.#paused = true;
      this.#socket.pause();
    }
    this.#rouse();
  };

  readonly #finish = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    this.#rouse();
    this.#tellGone();
  };

  #rouse(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #tellGone(): void {
    if (!this.ended) return;
    const callback = this.#onGone;
    this.#onGone = undefined;
    callback?.();
  }
}
