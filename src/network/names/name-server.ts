/**
 * Names for containers: a server at 127.0.0.11 in each that is on a network of its user's.
 * Owns: the sockets, opened inside each container's network namespace, and the rules there that lead port 53 to them: the
 * sockets have a port of their own, so that the container can have that one. Promises: closing is idempotent; an answer
 * from outside only for containers with a way out. Never: a process, or an await in another namespace.
 */
import type { TCPSocketListener, udp } from "bun";
import { inNamespace } from "#kernel/network/netns.ts";
import { runNft } from "#kernel/network/nftables.ts";
import type { SandboxRecord } from "#network/records/sandbox-table.ts";
import { Fault } from "#spec/fault.ts";
import { TcpQuestions } from "./dns-stream.ts";
import type { NameResolver } from "./name-resolver.ts";
import { embeddedAddress } from "./resolv-conf.ts";

export interface NameServersParts {
  readonly resolver: NameResolver;
  /** As it is now: endpoints change while a container runs. */
  readonly sandbox: (containerId: string) => SandboxRecord | undefined;
  readonly report: (fault: Fault) => void;
}

interface Open {
  readonly udp: Promise<udp.Socket<"buffer">>;
  readonly tcp: TCPSocketListener<TcpQuestions>;
  /** Ends what is under way. */
  readonly closing: AbortController;
}

/** Questions of one container that others are asked, under way; more are refused. */
const perContainerMax = 256;
/** Connections of one container at a time; one more is closed at once. */
const connectionsMax = 64;
const idleSeconds = 10;
/** How often another port is tried when one is taken on one of the two protocols. */
const portTries = 8;

export class NameServers implements Disposable {
  readonly #parts: NameServersParts;
  readonly #open = new Map<string, Open>();

  constructor(parts: NameServersParts) {
    this.#parts = parts;
  }

  /** Idempotent by container. The caller's thread is in its own namespace when it returns. */
  open(containerId: string, netnsPath: string): void {
    if (this.#open.has(containerId)) return;
    const underWay = { count: 0 };
    const ask: Ask = (query, transport) => {
      const record = this.#parts.sandbox(containerId);
      if (record === undefined) return undefined;
      const own = this.#parts.resolver.own(record, query, transport);
      if (own !== "others") return own;
      return underWay.count < perContainerMax
        ? this.#askOthers(record, query, transport, underWay)
        : undefined;
    };
    inNamespace(netnsPath, () => {
      for (let attempt = 1; ; attempt++) {
        const tcp = listenTcp(ask);
        const closing = new AbortController();
        try {
          const udp = bindUdp(tcp.port, ask);
          // Bound or not is known only later; the promise of one that is not is looked at below.
          this.#open.set(containerId, { udp, tcp, closing });
          runNft(redirect(tcp.port));
          udp.catch((thrown: unknown) => this.#parts.report(Fault.from(thrown)));
          return;
        } catch (error) {
          tcp.stop(true);
          this.#open.delete(containerId);
          if (attempt >= portTries) throw error;
        }
      }
    });
  }

  async #askOthers(
    record: SandboxRecord,
    query: Buffer,
    transport: "udp" | "tcp",
    underWay: { count: number },
  ): Promise<Buffer | undefined> {
    const open = this.#open.get(record.containerId);
    if (open === undefined) return undefined;
    underWay.count++;
    try {
      return await this.#parts.resolver.others(record, query, { transport, signal: open.closing.signal });
    } catch (thrown) {
      // Its namespace went meanwhile, or cannot be reached: a question less, no engine less.
      if (this.#open.has(record.containerId)) this.#parts.report(Fault.from(thrown));
      return undefined;
    } finally {
      underWay.count--;
    }
  }

  /** Idempotent. */
  close(containerId: string): void {
    const open = this.#open.get(containerId);
    this.#open.delete(containerId);
    this.#parts.resolver.forget(containerId);
    open?.closing.abort();
    open?.tcp.stop(true);
    open?.udp.then(
      (socket) => socket.close(),
      () => undefined,
    );
  }

  [Symbol.dispose](): void {
    for (const id of [...this.#open.keys()]) this.close(id);
  }
}

/** At once where the engine knows, later where others must be asked. */
type Ask = (query: Buffer, transport: "udp" | "tcp") => Buffer | Promise<Buffer | undefined> | undefined;

function bindUdp(port: number, ask: Ask): Promise<udp.Socket<"buffer">> {
  return Bun.udpSocket({
    hostname: embeddedAddress,
    port,
    socket: {
      data: (socket, bytes, fromPort, fromAddress) => {
        const reply = ask(bytes, "udp");
        if (reply === undefined) return;
        if (reply instanceof Promise)
          void reply.then((late) => late && sendTo(socket, late, fromPort, fromAddress));
        else sendTo(socket, reply, fromPort, fromAddress);
      },
      // The kernel's word that an asker is gone already.
      error: () => undefined,
    },
  });
}

/** An asker that cannot be reached any more asks again, or has gone. */
function sendTo(socket: udp.Socket<"buffer">, reply: Buffer, port: number, address: string): void {
  try {
    if (!socket.closed) socket.send(reply, port, address);
  } catch {
    // As a packet that was lost.
  }
}

function listenTcp(ask: Ask): TCPSocketListener<TcpQuestions> {
  let connections = 0;
  return Bun.listen<TcpQuestions>({
    hostname: embeddedAddress,
    port: 0,
    socket: {
      open: (socket) => {
        connections++;
        if (connections > connectionsMax) socket.terminate();
        socket.timeout(idleSeconds);
        socket.data = new TcpQuestions(
          async (query) => await ask(query, "tcp"),
          (bytes) => socket.write(bytes),
          () => socket.end(),
        );
      },
      data: (socket, bytes) => socket.data.take(bytes),
      drain: (socket) => socket.data.drain(),
      timeout: (socket) => void socket.end(),
      close: () => {
        connections--;
      },
      error: () => undefined,
    },
  });
}

/** The table anew: after a restart of the engine it leads to other sockets. */
function redirect(port: number): string {
  const table = "wherry-names";
  const to = `dnat to ${embeddedAddress}:${port}`;
  return `table ip ${table}
delete table ip ${table}
table ip ${table} {
  chain output {
    type nat hook output priority -100; policy accept;
    ip daddr ${embeddedAddress} udp dport 53 ${to}
    ip daddr ${embeddedAddress} tcp dport 53 ${to}
  }
}
`;
}
