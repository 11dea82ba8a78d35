/**
 * The registry that a cache stands in front of, asked with the cache's own credentials.
 * Promises: who does not answer is not asked again for a moment, so that readers of what is cached do not wait for it.
 */
import type { Credentials } from "#spec/credentials.ts";
import { Fault } from "#spec/fault.ts";
import { isInsecure, type RegistryOptions } from "./registry-options.ts";
import { Repository } from "./repository.ts";
import { isPassing } from "./retry.ts";
import { Session } from "./session.ts";
import { Transport } from "./transport.ts";

/** How long nobody is asked after no answer came. */
export const awayMs = 5000;
/** Repositories whose sign-in is remembered. */
const sessionsMax = 1000;

export interface UpstreamOptions {
  readonly remote: URL;
  readonly credentials?: Credentials | undefined;
  readonly registry: RegistryOptions;
}

export class Upstream {
  readonly remote: URL;
  readonly #options: UpstreamOptions;
  readonly #transport: Transport;
  readonly #schemes = new Map<string, "https" | "http">();
  readonly #repositories = new Map<string, Repository>();
  #away: { readonly untilMs: number; readonly fault: Fault } | undefined;

  constructor(o: UpstreamOptions) {
    this.remote = o.remote;
    this.#options = o;
    this.#transport = new Transport(o.registry);
  }

  /** Asks about one of its repositories. @throws Fault, at once while it is away. */
  async ask<T>(path: string, work: (repository: Repository) => Promise<T>): Promise<T> {
    if (this.#away !== undefined && this.#away.untilMs > Date.now()) throw this.#away.fault;
    try {
      const result = await work(this.#repository(path));
      this.#away = undefined;
      return result;
    } catch (thrown) {
      const fault = Fault.from(thrown);
      const { network } = fault.detail;
      if (network === "refused" || network === "silent" || fault.kind === "timeout")
        this.#away = { untilMs: Date.now() + awayMs, fault };
      throw fault;
    }
  }

  #repository(path: string): Repository {
    const known = this.#repositories.get(path);
    if (known !== undefined) return known;
    const [oldest] = this.#repositories.keys();
    if (this.#repositories.size >= sessionsMax && oldest !== undefined) this.#repositories.delete(oldest);
    const { remote, credentials, registry } = this.#options;
    const scheme = remote.protocol === "http:" ? "http" : "https";
    const session = new Session({
      endpoint: {
        host: remote.host,
        path: remote.pathname.replace(/\/+$/, ""),
        scheme,
        insecure: scheme === "http" || isInsecure(remote.host, registry.insecure),
        isMirror: false,
      },
      transport: this.#transport,
      options: registry,
      credentials,
      schemes: this.#schemes,
      scope: `repository:${path}:pull`,
    });
    const repository = new Repository(path, session);
    this.#repositories.set(path, repository);
    return repository;
  }
}

/** Whether what is cached is the better answer: nobody there, a failure over there, asked too often. */
export function isAway(fault: Fault): boolean {
  return isPassing(fault);
}
