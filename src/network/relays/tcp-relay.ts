/**
 * Connections to a port of this host, led to a container by hand.
 * Owns: the listening descriptor and both ends of every connection. Promises: one side's end of sending is passed on, an
 * abrupt end likewise; who is slow slows the other side down, and nothing is kept for him. Never: more connections than
 * `connectionsMax`; one more is reset at once.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Relay, RelayTarget } from "./relay-messages.ts";

/** Of one port, at a time. */
export const connectionsMax = 1024;
/** Of silence, before either side is asked whether it is still there. */
const keepAliveMs = 60_000;

export class TcpRelay implements Relay {
  target: RelayTarget;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();

  /** `fd` listens already. `failed` is told why it cannot any more. */
  constructor(fd: number, target: RelayTarget, failed: (error: Error) => void) {
    this.target = target;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#join(client));
    this.#server.on("error", failed);
    this.#server.listen({ fd });
  }

  #join(client: Socket): void {
    const { target } = this;
    if (this.#clients.size >= connectionsMax) {
      client.on("error", () => undefined);
      client.resetAndDestroy();
      return;
    }
    this.#clients.add(client);
    const upstream = connect({ host: target.address, port: target.port, allowHalfOpen: true });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.setKeepAlive(true, keepAliveMs);
      from.setNoDelay(true);
      from.on("error", () => to.resetAndDestroy());
      from.on("close", () => void (to.destroyed || to.writableFinished || to.destroySoon()));
      from.pipe(to);
    }
    client.on("close", () => this.#clients.delete(client));
  }

  close(): void {
    this.#server.close();
    for (const client of this.#clients) client.resetAndDestroy();
  }
}
