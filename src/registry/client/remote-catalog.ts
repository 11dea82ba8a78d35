/** What somebody else's registry lists and lets go of: repositories, tags, removal (OCI distribution-spec 1.1, "Content Discovery", "Deleting"). */
import * as v from "valibot";
import type { Credentials } from "#spec/credentials.ts";
import { Fault } from "#spec/fault.ts";
import type { Reference } from "#spec/reference.ts";
import { endpointsOf, type RegistryOptions } from "./registry-options.ts";
import { Repository } from "./repository.ts";
import { Session } from "./session.ts";
import { Transport } from "./transport.ts";

const catalogSchema = v.object({ repositories: v.nullish(v.array(v.string())) });

export class RemoteCatalog {
  readonly #options: RegistryOptions;
  readonly #credentials: Credentials | undefined;
  readonly #transport: Transport;
  readonly #schemes = new Map<string, "https" | "http">();

  constructor(options: RegistryOptions, credentials: Credentials | undefined) {
    this.#options = options;
    this.#credentials = credentials;
    this.#transport = new Transport(options);
  }

  /** In pages. @throws Fault `invalid` for a list that is none or has no end. */
  async *repositories(domain: string, signal: AbortSignal): AsyncGenerator<string> {
    const session = this.#session(domain, "registry:catalog:*");
    for await (const page of session.pages("_catalog", "repositories", signal))
      yield* readCatalog(page, domain);
  }

  async tags({ domain, path }: Reference, signal: AbortSignal): Promise<string[]> {
    return await new Repository(path, this.#session(domain, `repository:${path}:pull`)).tags(signal);
  }

  /** A tag alone, or by digest a manifest and every tag of it. */
  async remove({ domain, path, tag, digest }: Reference, signal: AbortSignal): Promise<void> {
    const session = this.#session(domain, `repository:${path}:delete,pull`);
    const target = `${path}/manifests/${digest ?? tag}`;
    const answer = await session.send({ method: "DELETE", target, signal });
    for await (const _ of answer.body);
  }

  #session(domain: string, scope: string): Session {
    const endpoint = endpointsOf(domain, { ...this.#options, mirrors: [] }).at(-1);
    if (endpoint === undefined) throw new Fault("internal", `${domain} has no place to ask at`);
    return new Session({
      ...{ endpoint, scope, transport: this.#transport, options: this.#options },
      ...{ credentials: this.#credentials, schemes: this.#schemes },
    });
  }
}

function readCatalog(bytes: Uint8Array, domain: string): string[] {
  try {
    const { repositories } = v.parse(catalogSchema, JSON.parse(new TextDecoder().decode(bytes)));
    return repositories ?? [];
  } catch (cause) {
    throw new Fault("invalid", `${domain} answers with something else than a list of repositories`, {
      cause,
    });
  }
}
