/**
 * A cache of another registry: what is asked for and not here, or may be out of date, is fetched first; then it is served as
 * if it had been pushed.
 * Promises: a tag is looked up over there each time, by one request for all who ask at once; without an answer what is here is
 * served; a blob is fetched once, however many want it; what a repository over there does not have is not served from another.
 * Never: takes a push, or shows its own credentials to whoever asks.
 */

import { wholeBody } from "#registry/client/transport.ts";
import { isAway, type Upstream } from "#registry/client/upstream.ts";
import { type Digest, isDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { manifestBytesMax } from "#spec/manifest.ts";
import { BlobFetch } from "./blob-fetch.ts";
import { keys, type RegistryStore } from "./registry-store.ts";
import { RegistryRefusal } from "./serve-fault.ts";
import type { Manifests, ManifestTarget } from "./serve-manifests.ts";
import { readPushed } from "./served-manifest.ts";

/** A registry that is slow to tell what a tag is now has as long, when there is something else to serve. */
const freshMs = 10_000;

export interface PullThroughParts {
  readonly store: RegistryStore;
  readonly manifests: Manifests;
  readonly upstream: Upstream;
  /** Of one blob. */
  readonly blobBytesMax: number;
  /** Ends all fetches. */
  readonly signal: AbortSignal;
}

export class PullThrough {
  readonly #parts: PullThroughParts;
  readonly #looking = new Map<string, Promise<void>>();
  /** From the first question to the last byte. */
  readonly #fetches = new Map<string, Promise<BlobFetch | undefined>>();

  constructor(parts: PullThroughParts) {
    this.#parts = parts;
  }

  get refusal(): RegistryRefusal {
    const { origin } = this.#parts.upstream.remote;
    return new RegistryRefusal("UNSUPPORTED", `this registry is a cache of ${origin}: push there`);
  }

  /** Brings a manifest here, or makes sure a tag is what it is over there. @throws RegistryRefusal. */
  async prepareManifest({ repository, reference }: ManifestTarget): Promise<void> {
    const key = `${repository}:${reference}`;
    let looking = this.#looking.get(key);
    if (looking === undefined) {
      const work = isDigest(reference)
        ? this.#byDigest(repository, reference)
        : this.#byTag(repository, reference);
      looking = work.finally(() => this.#looking.delete(key));
      this.#looking.set(key, looking);
    }
    await looking;
  }

  async #byDigest(repository: string, digest: Digest): Promise<void> {
    if (await this.#parts.store.depot.touch(keys.manifest(repository, digest))) return;
    try {
      await this.#fetchManifest(repository, digest);
    } catch (thrown) {
      throw refused(Fault.from(thrown), "MANIFEST_UNKNOWN");
    }
  }

  async #byTag(repository: string, tag: string): Promise<void> {
    const { store, upstream, signal } = this.#parts;
    const here = await store.tag(repository, tag);
    const within = here === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(freshMs)]);
    try {
      const there = await upstream.ask(repository, async (source) => await source.digestOf(tag, within));
      const isHere = there !== undefined && (await store.depot.touch(keys.manifest(repository, there)));
      if (isHere && there === here) return;
      const digest = isHere ? there : await this.#fetchManifest(repository, there ?? tag);
      await store.putTag(repository, tag, digest);
    } catch (thrown) {
      const fault = Fault.from(thrown);
      if (here !== undefined && (isAway(fault) || within.aborted)) return;
      // It is gone over there, and so is it here.
      if (fault.detail["status"] === 404) await store.depot.remove(keys.tag(repository, tag));
      throw refused(fault, "MANIFEST_UNKNOWN");
    }
  }

  async #fetchManifest(repository: string, reference: string): Promise<Digest> {
    const { manifests, upstream, signal } = this.#parts;
    const { bytes, digest, contentType } = await upstream.ask(
      repository,
      async (source) => await source.manifest(reference, signal),
    );
    const pushed = readPushed(bytes, contentType === "" ? undefined : contentType);
    await manifests.keep(repository, digest, bytes, pushed);
    return digest;
  }

  /** A blob that is on its way; undefined: it is here, for good or bad. @throws RegistryRefusal. */
  async fetchBlob(repository: string, digest: Digest): Promise<BlobFetch | undefined> {
    const key = `${repository}@${digest}`;
    let fetching = this.#fetches.get(key);
    if (fetching === undefined) {
      fetching = this.#startFetch(repository, digest);
      this.#fetches.set(key, fetching);
      const over = () => this.#fetches.delete(key);
      void fetching.then((fetch) => fetch?.ended).then(over, over);
    }
    return await fetching;
  }

  async #startFetch(repository: string, digest: Digest): Promise<BlobFetch | undefined> {
    const { store, upstream, signal, blobBytesMax } = this.#parts;
    if ((await store.blob(repository, digest)) !== undefined) return undefined;
    const sizeBytes = await this.blobSize(repository, digest);
    // Here already, from another repository: this one has it, too.
    if (await store.link(repository, digest)) return undefined;
    if (sizeBytes > blobBytesMax)
      throw new RegistryRefusal("SIZE_INVALID", `blobs have at most ${blobBytesMax} bytes`, { status: 413 });
    return await BlobFetch.begin({ repository, digest, sizeBytes }, { store, upstream, signal });
  }

  /** What it has over there. @throws RegistryRefusal. */
  async blobSize(repository: string, digest: Digest): Promise<number> {
    const { upstream, signal } = this.#parts;
    try {
      const size = await upstream.ask(repository, async (source) => await source.hasBlob(digest, signal));
      if (size === undefined)
        throw new RegistryRefusal("BLOB_UNKNOWN", `the repository has no blob ${digest}`);
      return size;
    } catch (thrown) {
      if (thrown instanceof RegistryRefusal) throw thrown;
      throw refused(Fault.from(thrown), "BLOB_UNKNOWN");
    }
  }

  /** What refers to a manifest over there; undefined: it has no such list, or is away. */
  async referrers(repository: string, subject: Digest, query: string): Promise<HandedOn | undefined> {
    const { upstream, signal } = this.#parts;
    try {
      return await upstream.ask(repository, async ({ path, session }) => {
        const target = `${path}/referrers/${subject}${query}`;
        const answer = await session.send({ method: "GET", target, signal });
        const bytes = await wholeBody(answer, manifestBytesMax, "the list of referrers");
        const names = ["Content-Type", "Link", "OCI-Filters-Applied"] as const;
        const headers = names.flatMap((name) => {
          const value = answer.headers.get(name);
          return value === null ? [] : [[name, value] as const];
        });
        return { bytes, headers: Object.fromEntries(headers) };
      });
    } catch (thrown) {
      const fault = Fault.from(thrown);
      if (fault.detail["status"] !== 404 && !isAway(fault)) throw refused(fault, "NAME_UNKNOWN");
      // What clients wrote into a tag instead.
      const reference = subject.replace(":", "-");
      await this.prepareManifest({ repository, reference }).catch(() => undefined);
      return undefined;
    }
  }

  /** All tags over there, or those here while it is away. @throws RegistryRefusal. */
  async tags(repository: string): Promise<string[]> {
    const { store, upstream, signal } = this.#parts;
    try {
      const tags = await upstream.ask(repository, async (source) => await source.tags(signal));
      return [...new Set(tags)].sort((a, b) => (a < b ? -1 : 1));
    } catch (thrown) {
      const fault = Fault.from(thrown);
      const here = isAway(fault) ? await store.tags(repository) : [];
      if (here.length > 0) return here;
      throw refused(fault, "NAME_UNKNOWN");
    }
  }
}

/** An answer of over there that is handed on. */
export interface HandedOn {
  readonly bytes: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Of a fault over there, what our client is told. */
function refused(
  fault: Fault,
  unknown: "MANIFEST_UNKNOWN" | "BLOB_UNKNOWN" | "NAME_UNKNOWN",
): RegistryRefusal | Fault {
  const { status, network, retryAfterMs } = fault.detail;
  // Ours, not theirs.
  if (status === undefined && network === undefined && fault.kind !== "timeout") return fault;
  if (status === 404) return new RegistryRefusal(unknown, `not here and not over there: ${fault.message}`);
  if (status === 401 || status === 403)
    return new RegistryRefusal("DENIED", "the registry behind this cache does not let it read that");
  if (status === 429)
    return new RegistryRefusal("TOOMANYREQUESTS", "the registry behind this cache is asked too often", {
      headers:
        typeof retryAfterMs === "number" ? { "Retry-After": String(Math.ceil(retryAfterMs / 1000)) } : {},
    });
  return new RegistryRefusal(
    "UNAVAILABLE",
    `the registry behind this cache does not answer: ${fault.message}`,
  );
}
