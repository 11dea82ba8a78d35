import type { Socket } from "node:net";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { type Listener, listen, type TlsOptions } from "./listen.ts";

/** How long answers in progress may take once the server is asked to close. */
export const closeGraceMs = 5000;

/** Open at once, on all listeners together; more are told so and closed. */
export const connectionsMax = 4096;

export interface HttpServerOptions extends ConnectionOptions {
  /** @default connectionsMax */
  readonly connectionsMax?: number;
  readonly tls?: TlsOptions | undefined;
}

/** Listeners and their connections. Dispose to close: listeners first, then connections as they become free. */
export class HttpServer implements AsyncDisposable {
  readonly #listeners: Listener[] = [];
  readonly #connections = new Map<Connection, Promise<void>>();
  readonly #options: HttpServerOptions;

  private constructor(options: HttpServerOptions) {
    this.#options = options;
  }

  /**
   * Serves on all hosts, or on none when one of them fails.
   * @throws Fault see `listen`.
   */
  static async open(hosts: readonly string[], options: HttpServerOptions): Promise<HttpServer> {
    const server = new HttpServer(options);
    try {
      for (const host of hosts)
        server.#listeners.push(await listen(host, (socket) => server.#accept(socket), options.tls));
      return server;
    } catch (thrown) {
      await server[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** Where it listens, with the ports really used. */
  get hosts(): string[] {
    return this.#listeners.map(({ host }) => host);
  }

  #accept(socket: Socket): void {
    const most = this.#options.connectionsMax ?? connectionsMax;
    if (this.#connections.size >= most) {
      refuse(socket, most);
      return;
    }
    const connection = new Connection(socket, this.#options);
    const served = connection.serve().finally(() => this.#connections.delete(connection));
    this.#connections.set(connection, served);
  }

  /** Idempotent. Resolves when every connection is closed, at the latest after `closeGraceMs`. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#listeners.splice(0).map((listener) => listener[Symbol.asyncDispose]());
    for (const connection of this.#connections.keys()) connection.close();
    const { promise: graceOver, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      for (const connection of this.#connections.keys()) connection.destroy();
      resolve();
    }, closeGraceMs);
    await Promise.race([Promise.all(this.#connections.values()), graceOver]);
    clearTimeout(timer);
    await Promise.all(closed);
  }
}

function refuse(socket: Socket, most: number): void {
  const body = `${JSON.stringify({ message: `too many connections: ${most} are open` })}\n`;
  const head = `HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  socket.on("error", () => undefined);
  socket.end(head + body, () => socket.destroy());
}
