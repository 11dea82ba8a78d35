/**
 * Questions that others answer: the host's name servers, or a container's own.
 * Promises: each server in turn until one knows; every question ends, within a bounded time; only an answer to the very
 * question is handed on. Owns: a socket per question under way, with a port and an id of its own.
 */
import { randomBytes } from "node:crypto";
import { inNamespace } from "#kernel/network/netns.ts";
import { anywhere, familyOf } from "#spec/ip.ts";
import { answers, rcode, rcodeOf } from "./dns-answer.ts";

export interface Upstream {
  readonly address: string;
  readonly port: number;
}

/** dockerd's, as are the next two. */
export const serverTimeoutMs = 4000;
const serversMax = 3;
/** Questions under way, of all containers. */
const underWayMax = 1024;
/** How long a server that said nothing is asked last. */
const distrustMs = 30_000;
const distrustedMax = 256;
const refused = 5;

export interface ForwardOptions {
  readonly transport: "udp" | "tcp";
  readonly servers: readonly Upstream[];
  /** Where to ask from; the engine's own network when absent. */
  readonly netnsPath: string | undefined;
  /** The asker is gone: its network must not be kept by a question. */
  readonly signal: AbortSignal;
  /** Told of each server that was asked: its code, undefined when it said nothing. */
  readonly tell?: ((server: Upstream, code: number | undefined) => void) | undefined;
}

export class DnsForwarder {
  readonly #timeoutMs: number;
  readonly #distrusted = new Map<string, number>();
  #underWay = 0;

  constructor(o: { readonly timeoutMs?: number } = {}) {
    this.#timeoutMs = o.timeoutMs ?? serverTimeoutMs;
  }

  /** @returns The answer under the question's id; undefined when nobody gave one. */
  async ask(query: Buffer, o: ForwardOptions): Promise<Buffer | undefined> {
    if (this.#underWay >= underWayMax) return undefined;
    this.#underWay++;
    try {
      let failed: Buffer | undefined;
      for (const server of this.#inOrder(o.servers)) {
        if (o.signal.aborted) return undefined;
        const reply = await this.#askOne(query, server, o);
        o.tell?.(server, reply === undefined ? undefined : rcodeOf(reply));
        if (reply === undefined) this.#distrust(server);
        else if (![rcode.serverFailure, refused].includes(rcodeOf(reply))) return reply;
        else failed = reply;
      }
      return failed;
    } finally {
      this.#underWay--;
    }
  }

  #inOrder(servers: readonly Upstream[]): Upstream[] {
    const now = Date.now();
    const silent = ({ address }: Upstream) => Number((this.#distrusted.get(address) ?? 0) > now);
    return [...servers].sort((a, b) => silent(a) - silent(b)).slice(0, serversMax);
  }

  #distrust({ address }: Upstream): void {
    if (this.#distrusted.size >= distrustedMax) this.#distrusted.clear();
    this.#distrusted.set(address, Date.now() + distrustMs);
  }

  async #askOne(query: Buffer, server: Upstream, o: ForwardOptions): Promise<Buffer | undefined> {
    const asked = Buffer.from(query);
    randomBytes(2).copy(asked, 0);
    const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
    const take = (bytes: Buffer): void => {
      if (answers(asked, bytes)) resolve(bytes);
    };
    const open = o.transport === "udp" ? openUdp : openTcp;
    const opening =
      o.netnsPath === undefined
        ? open(server, asked, take, resolve)
        : inNamespace(o.netnsPath, () => open(server, asked, take, resolve));
    const timer = setTimeout(resolve, this.#timeoutMs, undefined);
    const leave = () => resolve(undefined);
    o.signal.addEventListener("abort", leave, { once: true });
    try {
      const reply = await promise;
      if (reply !== undefined) query.copy(reply, 0, 0, 2);
      return reply;
    } finally {
      clearTimeout(timer);
      o.signal.removeEventListener("abort", leave);
      opening.then(
        (close) => close(),
        () => undefined,
      );
    }
  }
}

type Opened = Promise<() => void>;

async function openUdp(
  { address, port }: Upstream,
  query: Buffer,
  take: (bytes: Buffer) => void,
  fail: (nothing: undefined) => void,
): Opened {
  try {
    const socket = await Bun.udpSocket({
      // Of the server's family: Bun takes IPv4 where nothing is said.
      hostname: anywhere[familyOf(address)],
      connect: { hostname: address, port },
      socket: { data: (_, bytes) => take(bytes), error: () => fail(undefined) },
    });
    socket.send(query);
    return () => socket.close();
  } catch {
    fail(undefined);
    return () => undefined;
  }
}

/** One question, one connection (RFC 7766 allows it). */
async function openTcp(
  { address, port }: Upstream,
  query: Buffer,
  take: (bytes: Buffer) => void,
  fail: (nothing: undefined) => void,
): Opened {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length, 0);
  let seen = Buffer.alloc(0);
  try {
    const socket = await Bun.connect({
      hostname: address,
      port,
      socket: {
        data: (_, bytes) => {
          seen = Buffer.concat([seen, bytes]);
          if (seen.length >= 2 && seen.length >= 2 + seen.readUInt16BE(0))
            take(Buffer.from(seen.subarray(2, 2 + seen.readUInt16BE(0))));
        },
        close: () => fail(undefined),
        error: () => fail(undefined),
        connectError: () => fail(undefined),
      },
    });
    socket.write(Buffer.concat([length, query]));
    return () => socket.end();
  } catch {
    fail(undefined);
    return () => undefined;
  }
}
