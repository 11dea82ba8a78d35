/**
 * Whom a container's question is for: answered from the records, from what others said a moment ago, or by asking them.
 * Promises: an answer from outside only for containers with a way out; a container's own servers are asked from where it is,
 * the host's from the host.
 */
import { isIP } from "node:net";
import type { NameIndex } from "#network/records/name-index.ts";
import type { SandboxRecord } from "#network/records/sandbox-table.ts";
import type { Family } from "#spec/ip.ts";
import { answer, failure, type Outcome, rcode, takenBytes } from "./dns-answer.ts";
import { DnsCache } from "./dns-cache.ts";
import type { DnsForwarder, Upstream } from "./dns-forwarder.ts";
import { OwnAnswers } from "./own-answers.ts";

export interface NameResolverParts {
  readonly names: NameIndex;
  readonly forwarder: DnsForwarder;
  /** The host's servers, as they are now. */
  readonly hostServers: () => Promise<readonly Upstream[]>;
}

/** What became of a question that the records do not answer, for who wants to know. */
export type OthersStep =
  /** A bare name is tried with the search list next, as the user's ndots says. */
  | { readonly kind: "bare" }
  /** On internal networks only. */
  | { readonly kind: "no-way-out" }
  | { readonly kind: "cache"; readonly secondsLeft: number }
  /** `code` undefined: it said nothing. */
  | {
      readonly kind: "server";
      readonly server: Upstream;
      readonly fromHost: boolean;
      readonly code: number | undefined;
    };

export interface OthersOptions {
  readonly transport: "udp" | "tcp";
  readonly signal: AbortSignal;
  readonly tell?: (step: OthersStep) => void;
}

const tcpBytesMax = 65_535;

export class NameResolver {
  readonly #parts: NameResolverParts;
  readonly #ready = new Map<string, OwnAnswers>();
  readonly #cache = new DnsCache();
  #turn = 0;

  constructor(parts: NameResolverParts) {
    this.#parts = parts;
  }

  /** The engine's own answer; undefined for what is no question, `others` when they must be asked. */
  own(record: SandboxRecord, query: Buffer, transport: "udp" | "tcp"): Buffer | "others" | undefined {
    const { names } = this.#parts;
    const lookups = {
      addresses: (name: string, family: Family) => names.addresses(record, name, family),
      nameOf: (address: string) => names.nameOf(record, address),
    };
    const turn = this.#turn++;
    const outcome: Outcome =
      transport === "tcp"
        ? answer(query, lookups, { transport, turn })
        : this.#readyFor(record.containerId).answer(query, lookups, { turn, version: names.version });
    if (outcome.kind === "drop") return undefined;
    return outcome.kind === "reply" ? outcome.bytes : "others";
  }

  #readyFor(containerId: string): OwnAnswers {
    let ready = this.#ready.get(containerId);
    if (ready === undefined) {
      ready = new OwnAnswers();
      this.#ready.set(containerId, ready);
    }
    return ready;
  }

  /** The container asks no more. Idempotent. */
  forget(containerId: string): void {
    this.#ready.delete(containerId);
  }

  /** What others say: always an answer, be it that nobody knows. */
  async others(record: SandboxRecord, query: Buffer, o: OthersOptions): Promise<Buffer> {
    const { endpoints, netnsPath, resolver } = record;
    if (resolver?.ndots === true && isBare(query)) {
      o.tell?.({ kind: "bare" });
      return failure(query, rcode.nameError);
    }
    if (!endpoints.some(({ gateway, gateway6 }) => gateway !== "" || gateway6 !== "")) {
      o.tell?.({ kind: "no-way-out" });
      return failure(query, rcode.serverFailure);
    }
    const own = (resolver?.servers ?? []).filter((each) => isIP(each) !== 0);
    const servers =
      own.length > 0 ? own.map((address) => ({ address, port: 53 })) : await this.#parts.hostServers();
    const from = own.length > 0 ? netnsPath : undefined;
    return await this.#asked(query, servers, from, o);
  }

  async #asked(
    query: Buffer,
    servers: readonly Upstream[],
    netnsPath: string | undefined,
    o: OthersOptions,
  ): Promise<Buffer> {
    const scope = [netnsPath ?? "", ...servers.map(({ address, port }) => `${address}#${port}`)].join(" ");
    const bytesMax = o.transport === "tcp" ? tcpBytesMax : takenBytes(query);
    const found = this.#cache.find(scope, query, bytesMax);
    if (found !== undefined) {
      o.tell?.({ kind: "cache", secondsLeft: found.secondsLeft });
      return found.reply;
    }
    const fromHost = netnsPath === undefined;
    const reply = await this.#parts.forwarder.ask(query, {
      ...{ transport: o.transport, signal: o.signal, servers, netnsPath },
      tell: (server, code) => o.tell?.({ kind: "server", server, fromHost, code }),
    });
    if (reply === undefined) return failure(query, rcode.serverFailure);
    this.#cache.store(scope, query, reply);
    return reply;
  }
}

/** A name of one label. */
function isBare(query: Buffer): boolean {
  const length = query[12] ?? 0;
  return query[13 + length] === 0;
}
