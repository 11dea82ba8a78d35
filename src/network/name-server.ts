/**
 * Names for containers: a server at 127.0.0.11 in each that is on a network of its user's.
 * Owns: the sockets, opened inside each container's network namespace, and the rules there that lead port 53 to them: the
 * sockets have a port of their own, so that the container can have that one. Promises: closing is idempotent; an answer
 * from outside only for containers with a way out. Never: a process, or an await in another namespace.
 */
import { isIP } from "node:net";
import type { TCPSocketListener, udp } from "bun";
import { inNamespace } from "#kernel/netns.ts";
import { runNft } from "#kernel/nftables.ts";
import { Fault } from "#spec/fault.ts";
import type { Family } from "#spec/ip.ts";
import { answer, failure, rcode } from "./dns-answer.ts";
import type { DnsForwarder, Upstream } from "./dns-forwarder.ts";
import { TcpQuestions } from "./dns-stream.ts";
import type { NameIndex } from "./name-index.ts";
import { embeddedAddress } from "./resolv-conf.ts";
import type { SandboxRecord } from "./sandbox-table.ts";

export interface NameServersParts {
  readonly names: NameIndex;
  readonly forwarder: DnsForwarder;
  /** As it is now: endpoints change while a container runs. */
  readonly sandbox: (containerId: string) => SandboxRecord | undefined;
  /** The host's servers, as they are now. */
  readonly hostServers: () => Promise<readonly Upstream[]>;
  readonly report: (fault: Fault) => void;
}

interface Open {
  readonly udp: Promise<udp.Socket<"buffer">>;
  readonly tcp: TCPSocketListener<TcpQuestions>;
  /** Ends what is under way. */
  readonly closing: AbortController;
}

/** Questions of one container under way; more are refused. */
const perContainerMax = 256;
const idleSeconds = 10;
/** How often another port is tried when one is taken on one of the two protocols. */
const portTries = 8;

export class NameServers implements Disposable {
  readonly #parts: NameServersParts;
  readonly #open = new Map<string, Open>();
  #turn = 0;

  constructor(parts: NameServersParts) {
    this.#parts = parts;
  }

  /** Idempotent by container. The caller's thread is in its own namespace when it returns. */
  open(containerId: string, netnsPath: string): void {
    if (this.#open.has(containerId)) return;
    const underWay = { count: 0 };
    const ask = async (query: Buffer, transport: "udp" | "tcp") => {
      if (underWay.count >= perContainerMax) return undefined;
      underWay.count++;
      try {
        return await this.#answer(containerId, query, transport);
      } catch (thrown) {
        // Its namespace went meanwhile, or cannot be reached: a question less, no engine less.
        if (this.#open.has(containerId)) this.#parts.report(Fault.from(thrown));
        return undefined;
      } finally {
        underWay.count--;
      }
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

  async #answer(containerId: string, query: Buffer, transport: "udp" | "tcp"): Promise<Buffer | undefined> {
    const record = this.#parts.sandbox(containerId);
    if (record === undefined) return undefined;
    const { names } = this.#parts;
    const lookups = {
      addresses: (name: string, family: Family) => names.addresses(record, name, family),
      nameOf: (address: string) => names.nameOf(record, address),
    };
    const outcome = answer(query, lookups, { transport, turn: this.#turn++ });
    if (outcome.kind === "drop") return undefined;
    if (outcome.kind === "reply") return outcome.bytes;
    // With ndots set by the user, a bare name is tried with the search list next: nobody outside is asked for it.
    if (outcome.singleLabel && record.resolver?.ndots === true) return failure(query, rcode.nameError);
    const signal = this.#open.get(containerId)?.closing.signal;
    if (signal === undefined) return undefined;
    return (await this.#forward(record, query, { transport, signal })) ?? failure(query, rcode.serverFailure);
  }

  async #forward(
    { endpoints, netnsPath, resolver }: SandboxRecord,
    query: Buffer,
    o: { readonly transport: "udp" | "tcp"; readonly signal: AbortSignal },
  ): Promise<Buffer | undefined> {
    if (!endpoints.some(({ gateway, gateway6 }) => gateway !== "" || gateway6 !== "")) return undefined;
    const own = (resolver?.servers ?? []).filter((each) => isIP(each) !== 0);
    const servers =
      own.length > 0 ? own.map((address) => ({ address, port: 53 })) : await this.#parts.hostServers();
    // A container's own servers are asked from where it is, the host's from the host.
    const from = own.length > 0 ? netnsPath : undefined;
    return await this.#parts.forwarder.ask(query, { ...o, servers, netnsPath: from });
  }

  /** Idempotent. */
  close(containerId: string): void {
    const open = this.#open.get(containerId);
    this.#open.delete(containerId);
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

type Ask = (query: Buffer, transport: "udp" | "tcp") => Promise<Buffer | undefined>;

function bindUdp(port: number, ask: Ask): Promise<udp.Socket<"buffer">> {
  return Bun.udpSocket({
    hostname: embeddedAddress,
    port,
    socket: {
      data: (socket, bytes, fromPort, fromAddress) => {
        void ask(Buffer.from(bytes), "udp").then((reply) => {
          if (reply !== undefined) sendTo(socket, reply, fromPort, fromAddress);
        });
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
  return Bun.listen<TcpQuestions>({
    hostname: embeddedAddress,
    port: 0,
    socket: {
      open: (socket) => {
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
