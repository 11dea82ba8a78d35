import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { Inbox } from "./inbox.ts";

/** A hijacked connection as a node stream. Ending it closes the sending half only; destroying it closes the socket. */
export class HijackedStream extends Duplex {
  readonly #socket: Socket;
  readonly #inbox: Inbox;

  constructor(socket: Socket, inbox: Inbox) {
    super({ allowHalfOpen: true, autoDestroy: false });
    this.#socket = socket;
    this.#inbox = inbox;
    socket.once("close", () => this.destroy());
  }

  override _read(): void {
    this.#inbox.read().then(
      (chunk) => this.push(chunk ?? null),
      (error: unknown) => this.destroy(error instanceof Error ? error : undefined),
    );
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
