/** A connection by Node's sockets, and by those of TLS. */
import type { Socket } from "node:net";
import type { Wire } from "./wire.ts";

/** What a socket takes at once: of more Node would copy the rest. */
const writeBytesMax = 128 << 10;

export class NodeWire implements Wire {
  readonly #socket: Socket;
  readonly incoming: AsyncIterator<Buffer>;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    this.incoming = socket[Symbol.asyncIterator]();
  }

  get writable(): boolean {
    return this.#socket.writable;
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && this.writable; at += writeBytesMax)
      if (!this.#socket.write(bytes.subarray(at, at + writeBytesMax))) await this.#drained();
  }

  async #drained(): Promise<void> {
    const socket = this.#socket;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off("drain", done);
        socket.off("close", done);
        resolve();
      };
      socket.on("drain", done);
      socket.on("close", done);
      if (socket.destroyed) done();
    });
  }

  destroy(reason?: Error): void {
    this.#socket.destroy(reason);
  }
}
