import { once } from "node:events";
import type { Socket } from "node:net";
import { Fault } from "#spec/fault.ts";

/** Small writes are gathered up to this size before they go to the socket. */
const gatherBytes = 64 * 1024;

/** Where a streamed answer goes. */
export interface Sink {
  /**
   * Queues bytes; they leave at the latest in the next turn of the event loop. `bytes` must not change until then.
   * A promise means the client is slow: await it before writing more.
   * @throws Fault `cancelled` when the client is gone.
   */
  write(bytes: Uint8Array): Promise<void> | undefined;
}

/**
 * The sending half of a connection for one streamed answer: gathers small writes, applies the client's pace, and
 * frames them as HTTP chunks where the protocol asks for it.
 */
export class Outlet implements Sink {
  readonly #socket: Socket;
  readonly #chunked: boolean;
  #gathered: Uint8Array[] = [];
  #bytes = 0;
  #scheduled = false;

  /** `chunked` frames each flush as one chunk; `end` then writes the last one. The socket stays the caller's. */
  constructor(socket: Socket, options: { chunked: boolean }) {
    this.#socket = socket;
    this.#chunked = options.chunked;
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#socket.destroyed || !this.#socket.writable) throw new Fault("cancelled", "the client is gone");
    if (bytes.length === 0) return undefined;
    if (bytes.length >= gatherBytes) return this.#writeLarge(bytes);
    this.#gathered.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= gatherBytes) {
      this.flush();
      if (this.#socket.writableNeedDrain) return drained(this.#socket);
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.flush);
    }
    return undefined;
  }

  /** As it is, uncopied: what the socket does not take at once is waited for. */
  #writeLarge(bytes: Uint8Array): Promise<void> | undefined {
    this.flush();
    if (this.#chunked) this.#socket.write(`${bytes.length.toString(16)}\r\n`);
    this.#socket.write(bytes);
    if (this.#chunked) this.#socket.write(chunkEnd);
    // More than a socket's own mark: what it did not take is always waited for.
    return this.#socket.writableNeedDrain ? drained(this.#socket) : undefined;
  }

  /** Sends what is gathered and, when chunked, the last chunk. */
  end(): void {
    this.flush();
    if (this.#chunked && !this.#socket.destroyed) this.#socket.write("0\r\n\r\n");
  }

  /** Sends what is gathered now. */
  readonly flush = (): void => {
    this.#scheduled = false;
    if (this.#bytes === 0) return;
    const parts = this.#gathered;
    const bytes = this.#bytes;
    this.#gathered = [];
    this.#bytes = 0;
    if (this.#socket.destroyed) return;
    if (this.#chunked) {
      parts.unshift(Buffer.from(`${bytes.toString(16)}\r\n`, "latin1"));
      parts.push(chunkEnd);
    }
    // Joining what is large costs more than the calls it saves.
    if (bytes >= gatherBytes && parts.length <= 3) for (const part of parts) this.#socket.write(part);
    else this.#socket.write(Buffer.concat(parts));
  };
}

const chunkEnd = Buffer.from("\r\n", "latin1");

/** Resolves when a socket takes bytes again, or is gone. Never throws. */
export async function drained(socket: Socket): Promise<void> {
  const stop = new AbortController();
  try {
    await Promise.race([
      once(socket, "drain", { signal: stop.signal }),
      once(socket, "close", { signal: stop.signal }),
    ]);
  } catch {
    // The socket failed; the next write says so.
  } finally {
    stop.abort();
  }
}
