/** For tests only: a client that sends exact bytes and sees exact bytes. */
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A directory of the test's own, removed on dispose. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "wherry-api-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** One raw connection. */
export class RawClient implements Disposable {
  readonly socket: net.Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void)[] = [];

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#rouse();
    });
    const end = (): void => {
      this.#ended = true;
      this.#rouse();
    };
    socket.on("end", end);
    socket.on("close", end);
    socket.on("error", end);
  }

  static async connect(address: string | number): Promise<RawClient> {
    const target = typeof address === "number" ? { port: address, host: "127.0.0.1" } : { path: address };
    const socket = net.connect({ ...target, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new RawClient(socket);
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(bytes);
    return this;
  }

  /** Closes the sending half. */
  finish(): this {
    this.socket.end();
    return this;
  }

  get received(): string {
    return this.#received.toString("latin1");
  }

  get bytes(): Buffer {
    return this.#received;
  }

  /** Everything until the server closes. */
  async all(): Promise<string> {
    await this.#until(() => this.#ended);
    return this.received;
  }

  /** What came up to and including the first `marker`; it is taken out of what was received. */
  async take(marker: string): Promise<string> {
    await this.#until(() => this.#received.includes(marker, 0, "latin1"));
    const end = this.#received.indexOf(marker, 0, "latin1") + Buffer.byteLength(marker, "latin1");
    const taken = this.#received.subarray(0, end).toString("latin1");
    this.#received = this.#received.subarray(end);
    return taken;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.#ended) throw new Error(`the connection ended with ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #rouse(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
