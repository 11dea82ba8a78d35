/**
 * A bucket by Bun's S3 client: whole objects in and out beneath a prefix, faults in sentences.
 * Promises: what passes (a service that asks to slow down, a connection that breaks) is asked again a few times; every
 * request may come twice. Never: says which credentials it has.
 */
import { S3Client } from "bun";
import { retrying } from "#registry/client/retry.ts";
import { Fault } from "#spec/fault.ts";
import type { S3Piece } from "./s3-record.ts";

export interface S3Place {
  readonly bucket: string;
  /** Before every key, without a slash at its end; several registries may share a bucket. */
  readonly prefix: string;
  /** URL; undefined: Amazon's for the region. */
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** The bucket is in the host's name. */
  readonly virtualHosted?: boolean | undefined;
}

export interface S3Listed {
  /** Without the prefix. */
  readonly key: string;
  readonly changedMs: number;
}

/** Error codes of S3 and of Bun's client that may be different next time. */
const passing = new Set([
  ...["SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted"],
  // An answer that is not S3's: a gateway's.
  ...["UnknownError", "InvalidResponse"],
  ...["ConnectionClosed", "ConnectionRefused", "ConnectionReset", "ECONNRESET", "ECONNREFUSED", "Timeout"],
]);
/** With twice the pause before each further one: a second and a half altogether. */
const attempts = { maxAttempts: 5, delayMs: 100, signal: new AbortController().signal };

/** Objects are never written in several requests. */
const wholeBytes = 5 * 2 ** 30;

export class S3Bucket {
  readonly name: string;
  readonly #client: S3Client;
  readonly #prefix: string;

  constructor({ prefix, virtualHosted, ...place }: S3Place) {
    this.name = place.bucket;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.#client = new S3Client({
      bucket: place.bucket,
      accessKeyId: place.accessKeyId,
      secretAccessKey: place.secretAccessKey,
      ...(place.endpoint !== undefined && { endpoint: place.endpoint }),
      ...(place.region !== undefined && { region: place.region }),
      ...(place.sessionToken !== undefined && { sessionToken: place.sessionToken }),
      ...(virtualHosted === true && { virtualHostedStyle: true }),
    });
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const whole = { partSize: wholeBytes };
    await this.#asked(
      async () => await this.#client.write(this.#prefix + key, bytes as Uint8Array<ArrayBuffer>, whole),
    );
  }

  /** Undefined: not there. */
  async get(
    key: string,
    range?: { readonly start: number; readonly end: number },
  ): Promise<Uint8Array | undefined> {
    const file = this.#client.file(this.#prefix + key);
    const wanted = range === undefined ? file : file.slice(range.start, range.end);
    return await this.#asked(async () => await wanted.bytes());
  }

  /** Part of an object that must be there. */
  async piece({ key, start, end }: S3Piece): Promise<Uint8Array> {
    const bytes = await this.get(key, { start, end });
    if (bytes?.length !== end - start)
      throw new Fault("internal", `the bucket ${this.name} has lost bytes of ${this.#prefix}${key}`);
    return bytes;
  }

  /** Idempotent. */
  async delete(key: string): Promise<void> {
    await this.#asked(async () => await this.#client.delete(this.#prefix + key));
  }

  /** Names beneath a key, with a slash behind those that have something beneath them. */
  async names(key: string): Promise<string[]> {
    const folder = `${this.#prefix}${key}/`;
    const names: string[] = [];
    for await (const page of this.#pages(folder, "/")) {
      for (const each of page.contents ?? []) names.push(each.key.slice(folder.length));
      for (const each of page.commonPrefixes ?? []) names.push(each.prefix.slice(folder.length));
    }
    return names.filter((name) => name !== "");
  }

  /** Every object beneath a key. */
  async *walk(key: string): AsyncGenerator<S3Listed> {
    for await (const { contents = [] } of this.#pages(`${this.#prefix}${key}/`))
      for (const each of contents)
        yield { key: each.key.slice(this.#prefix.length), changedMs: Date.parse(each.lastModified ?? "") };
  }

  async *#pages(prefix: string, delimiter?: string) {
    for (let continuationToken: string | undefined; ; ) {
      const page = await this.#asked(
        async () =>
          await this.#client.list({
            prefix,
            ...(delimiter !== undefined && { delimiter }),
            ...(continuationToken !== undefined && { continuationToken }),
          }),
      );
      if (page === undefined)
        throw new Fault("unavailable", `there is no bucket ${this.name}: make it first`);
      yield page;
      if (page.isTruncated !== true) return;
      continuationToken = page.nextContinuationToken;
    }
  }

  /** Undefined: not there. @throws Fault `unavailable`. */
  async #asked<T>(work: () => Promise<T>): Promise<T | undefined> {
    return await retrying(async () => {
      try {
        return await work();
      } catch (cause) {
        const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
        if (code === "NoSuchKey") return undefined;
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Fault("unavailable", `the bucket ${this.name} cannot be used (${code}): ${reason}`, {
          cause,
          ...(passing.has(code) && { detail: { network: code } }),
        });
      }
    }, attempts);
  }
}
