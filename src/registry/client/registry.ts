/**
 * Registries, as a client: what an image is there, its blobs here, ours there.
 * Owns: how many transfers run at once, what hosts turned out to speak. Promises: every byte is checked against the digest
 * it was asked for by; what breaks off goes on where it stopped; a refusal says what Docker would.
 * Never: knows what is done with an image, or keeps credentials beyond an operation.
 */
import type { Credentials } from "#spec/credentials.ts";
import type { Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor } from "#spec/image.ts";
import { familiarName, familiarReference, type Reference } from "#spec/reference.ts";
import type { Arrivals } from "#store/arrivals.ts";
import { Gate } from "#store/gate.ts";
import type { Received } from "./download.ts";
import { Downloads, type FetchedBlob } from "./downloads.ts";
import { pullRefusal } from "./refusal.ts";
import { type Endpoint, endpointsOf, type RegistryOptions } from "./registry-options.ts";
import { type ManifestBytes, Repository } from "./repository.ts";
import { retrying } from "./retry.ts";
import { Session } from "./session.ts";
import { Transport } from "./transport.ts";
import { type Sent, upload } from "./upload.ts";

export interface RegistryAccess {
  readonly credentials?: Credentials | undefined;
  readonly signal: AbortSignal;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #transport: Transport;
  readonly #schemes = new Map<string, "https" | "http">();
  readonly #arrivals: Arrivals;
  readonly #downloads: Downloads;
  readonly #uploads: Gate;

  constructor(o: { readonly options: RegistryOptions; readonly arrivals: Arrivals }) {
    this.#options = o.options;
    this.#transport = new Transport(o.options);
    this.#arrivals = o.arrivals;
    this.#downloads = new Downloads(o.arrivals, o.options);
    this.#uploads = new Gate(o.options.maxUploads);
  }

  /** Forgets downloads that nobody came back for. */
  async sweep(): Promise<void> {
    await this.#arrivals.sweep();
  }

  /** A remote repository to read from. */
  source(reference: Reference, o: RegistryAccess): RemoteSource {
    const repositories = endpointsOf(reference.domain, this.#options).map((endpoint) =>
      this.#repository(endpoint, reference.path, "pull", o.credentials),
    );
    return new RemoteSource(reference, repositories, {
      options: this.#options,
      downloads: this.#downloads,
    });
  }

  /** A remote repository to write to. */
  target(reference: Reference, o: RegistryAccess): RemoteTarget {
    const origin = endpointsOf(reference.domain, this.#options).filter(({ isMirror }) => !isMirror);
    const [endpoint] = origin;
    if (endpoint === undefined) throw new Fault("internal", `${reference.domain} has no place to push to`);
    const repository = this.#repository(endpoint, reference.path, "pull,push", o.credentials);
    return new RemoteTarget(reference, repository, this.#options, this.#uploads);
  }

  #repository(
    endpoint: Endpoint,
    path: string,
    actions: string,
    credentials: Credentials | undefined,
  ): Repository {
    const session = this.#session(endpoint, credentials, `repository:${path}:${actions}`);
    return new Repository(path, session);
  }

  #session(endpoint: Endpoint, credentials: Credentials | undefined, scope?: string): Session {
    return new Session({
      endpoint,
      transport: this.#transport,
      options: this.#options,
      credentials,
      schemes: this.#schemes,
      scope,
    });
  }

  /** @throws Fault `unauthorized` in Docker's words when the registry does not take the credentials. */
  async signIn(domain: string, o: RegistryAccess): Promise<void> {
    const endpoint = endpointsOf(domain, this.#options).find(({ isMirror }) => !isMirror);
    if (endpoint === undefined) throw new Fault("internal", `${domain} has no place to sign in at`);
    try {
      const answer = await this.#session(endpoint, o.credentials).send({
        method: "GET",
        target: "",
        signal: o.signal,
      });
      for await (const _ of answer.body);
    } catch (thrown) {
      o.signal.throwIfAborted();
      const fault = Fault.from(thrown);
      if (fault.detail["status"] !== 401) throw fault;
      const url = `${this.#schemes.get(endpoint.host) ?? "https"}://${endpoint.host}/v2/`;
      throw new Fault("unauthorized", `login attempt to ${url} failed with status: 401 Unauthorized`, {
        cause: fault,
      });
    }
  }

  /** Registry API 1 at a host, where searching still lives. @returns The answer's text. */
  async search(domain: string, query: string, o: RegistryAccess): Promise<string> {
    const host = domain === "docker.io" ? "index.docker.io" : domain;
    const [endpoint] = endpointsOf(host, this.#options);
    if (endpoint === undefined) throw new Fault("internal", `${domain} has no place to search at`);
    return await this.#session(endpoint, o.credentials).text(`v1/search?${query}`, o.signal);
  }
}

/** The mirrors of a repository and itself, as one. */
export class RemoteSource {
  readonly reference: Reference;
  readonly #options: RegistryOptions;
  readonly #downloads: Downloads;
  #repositories: readonly Repository[];

  constructor(
    reference: Reference,
    repositories: readonly Repository[],
    o: { readonly options: RegistryOptions; readonly downloads: Downloads },
  ) {
    this.reference = reference;
    this.#repositories = repositories;
    this.#options = o.options;
    this.#downloads = o.downloads;
  }

  /**
   * The manifest of a tag or digest, from the first place that has it, which is asked first from then on.
   * @throws Fault as Docker words it.
   */
  async manifest(of: string, signal: AbortSignal): Promise<ManifestBytes> {
    return await this.#first(signal, async (repository) => await repository.manifest(of, signal));
  }

  async digestOf(of: string, signal: AbortSignal): Promise<Digest | undefined> {
    return await this.#first(signal, async (repository) => await repository.digestOf(of, signal));
  }

  async tags(signal: AbortSignal): Promise<string[]> {
    return await this.#first(signal, async (repository) => await repository.tags(signal));
  }

  async #first<T>(signal: AbortSignal, work: (repository: Repository) => Promise<T>): Promise<T> {
    const { maxAttempts, retryDelayMs: delayMs } = this.#options;
    let failure: Fault | undefined;
    for (const repository of this.#repositories) {
      try {
        const result = await retrying(async () => await work(repository), {
          // A place that nobody answers at is not waited for.
          maxAttempts: this.#repositories.length > 1 ? 2 : maxAttempts,
          delayMs,
          signal,
          giveUp: (fault) => fault.detail["network"] === "refused",
        });
        this.#repositories = [repository, ...this.#repositories.filter((each) => each !== repository)];
        return result;
      } catch (thrown) {
        signal.throwIfAborted();
        failure = Fault.from(thrown);
      }
    }
    throw pullRefusal(failure ?? new Fault("internal", "there is no place to pull from"), {
      reference: familiarReference(this.reference),
      name: familiarName(this.reference),
    });
  }

  /** Fetches a blob, or joins whoever does. Dispose what it gives. */
  async fetch(
    blob: Descriptor,
    o: { readonly signal: AbortSignal; readonly tell: (news: Received) => void },
  ): Promise<FetchedBlob> {
    return await this.#downloads.fetch(blob, this.#repositories, o);
  }
}

/** A repository to push to. */
export class RemoteTarget {
  readonly reference: Reference;
  readonly #repository: Repository;
  readonly #options: RegistryOptions;
  readonly #gate: Gate;

  constructor(reference: Reference, repository: Repository, options: RegistryOptions, gate: Gate) {
    this.reference = reference;
    this.#repository = repository;
    this.#options = options;
    this.#gate = gate;
  }

  async hasBlob(digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    return await this.#retrying(signal, async () => await this.#repository.hasBlob(digest, signal));
  }

  /** False when the registry does not have it there, or does not hand it over. */
  async mount(digest: Digest, repository: string, signal: AbortSignal): Promise<boolean> {
    const place = await this.#retrying(
      signal,
      async () => await this.#repository.beginUpload(signal, { digest, repository }),
    );
    if (place === undefined) return true;
    await this.#repository.cancelUpload(place, signal).catch(() => undefined);
    return false;
  }

  /**
   * Sends a blob whose digest may be known only at its end. `open` gives the same bytes each time it is called.
   * Waits for its turn.
   */
  async upload(
    open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
    o: {
      readonly signal: AbortSignal;
      readonly tell?: (sentBytes: number) => void;
      readonly begun?: () => void;
    },
  ): Promise<Sent> {
    using _ = await this.#gate.enter(o.signal);
    o.begun?.();
    return await upload(this.#repository, open, this.#options, o);
  }

  async putManifest(
    reference: string,
    manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#retrying(signal, async () => await this.#repository.putManifest(reference, manifest, signal));
  }

  async #retrying<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { maxAttempts, retryDelayMs: delayMs } = this.#options;
    return await retrying(work, {
      maxAttempts,
      delayMs,
      signal,
      giveUp: (fault) => fault.detail["network"] === "refused",
    });
  }
}
