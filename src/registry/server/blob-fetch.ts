/**
 * One blob on its way from another registry into the depot, read by all who want it while it comes.
 * Promises: nobody is sent a byte later than another who asked earlier would be; what breaks off goes on; a blob is kept only
 * when it has the digest it was asked for by.
 */
import { createHash } from "node:crypto";
import { retrying } from "#registry/client/retry.ts";
import type { Upstream } from "#registry/client/upstream.ts";
import type { Growing } from "#registry/depot/depot.ts";
import { type Digest, digestAlgorithm } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { keys, type RegistryStore } from "./registry-store.ts";

/** Bytes that a reader takes at a time. */
const readBytes = 1 << 20;
const maxAttempts = 5;
/** Doubled four times it is longer than an upstream that was away is let alone. */
const delayMs = 1000;

export interface WantedBlob {
  readonly repository: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export class BlobFetch {
  readonly wanted: WantedBlob;
  /** Settles when the blob is kept or given up; never rejects. */
  readonly ended: Promise<void>;
  readonly #growing: Growing;
  #readers = 0;
  #came = Promise.withResolvers<void>();
  #over = false;
  #failure: Fault | undefined;

  private constructor(wanted: WantedBlob, growing: Growing, work: (fetch: BlobFetch) => Promise<void>) {
    this.wanted = wanted;
    this.#growing = growing;
    this.ended = this.#run(work);
  }

  static async begin(
    wanted: WantedBlob,
    o: { readonly store: RegistryStore; readonly upstream: Upstream; readonly signal: AbortSignal },
  ): Promise<BlobFetch> {
    const key = keys.upload(wanted.repository, o.store.newUpload());
    const growing = await o.store.depot.grow(key, { create: true });
    if (growing === undefined) throw new Error(`the new upload ${key} is in use`);
    return new BlobFetch(wanted, growing, async (fetch) => await fetch.#fetch(o));
  }

  async #run(work: (fetch: BlobFetch) => Promise<void>): Promise<void> {
    try {
      await work(this);
    } catch (thrown) {
      this.#failure = Fault.from(thrown);
      await this.#growing.discard().catch(() => undefined);
    } finally {
      this.#over = true;
      this.#came.resolve();
      await this.#closeWhenIdle();
    }
  }

  async #fetch(o: {
    readonly store: RegistryStore;
    readonly upstream: Upstream;
    readonly signal: AbortSignal;
  }): Promise<void> {
    const { repository, digest, sizeBytes } = this.wanted;
    const hash = createHash(digestAlgorithm(digest));
    const { signal } = o;
    const receive = async () =>
      await o.upstream.ask(repository, async (source) => {
        const { start, body } = await source.blob(digest, this.#growing.sizeBytes, signal);
        let at = start;
        for await (const all of body) {
          // What a source sends again that cannot begin in the middle.
          const part = all.subarray(Math.max(0, this.#growing.sizeBytes - at));
          at += all.length;
          if (this.#growing.sizeBytes + part.length > sizeBytes)
            throw new Fault("invalid", `${digest} has more than the ${sizeBytes} bytes announced`);
          if (part.length === 0) continue;
          hash.update(part);
          await this.#growing.append(part);
          this.#came.resolve();
          this.#came = Promise.withResolvers();
        }
        if (this.#growing.sizeBytes < sizeBytes)
          throw new Fault("internal", `${digest} broke off`, { detail: { network: "broken" } });
      });
    const reached = () => this.#growing.sizeBytes;
    await retrying(receive, { maxAttempts, delayMs, signal, reached });
    const actual = `${digestAlgorithm(digest)}:${hash.digest("hex")}`;
    if (actual !== digest) throw new Fault("invalid", `what came for ${digest} has ${actual}`);
    await o.store.depot.write(keys.link(repository, digest), "");
    await this.#growing.keep(keys.blob(digest));
  }

  /** Bytes from `start` to before `end`, as they come. @throws Fault when they do not. */
  async *read(start: number, end: number): AsyncGenerator<Uint8Array> {
    this.#readers++;
    try {
      for (let at = start; at < end; ) {
        // The last byte only once all of it is right: who reads a wrong blob sees it break off.
        const most = this.#over && this.#failure === undefined ? end : this.wanted.sizeBytes - 1;
        const there = Math.min(end, most, this.#growing.sizeBytes, at + readBytes);
        if (there > at) {
          yield await this.#growing.read(at, there);
          at = there;
          continue;
        }
        if (this.#over) throw this.#failure ?? new Fault("internal", "the blob broke off");
        await this.#came.promise;
      }
    } finally {
      this.#readers--;
      await this.#closeWhenIdle();
    }
  }

  #closed = false;
  async #closeWhenIdle(): Promise<void> {
    if (!this.#over || this.#readers > 0 || this.#closed) return;
    this.#closed = true;
    try {
      await this.#growing[Symbol.asyncDispose]();
    } catch {
      // It was kept or given up; of what is left the collector knows.
    }
  }
}
