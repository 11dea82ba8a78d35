/**
 * Blobs on their way in, by the digest of the whole.
 * Owns: one file per blob beneath its root. Promises: what came stays over a cancelled transfer and a restart, until it is
 * made into something, found to be wrong, or a day old; `verified` means digest and size are right.
 * Never: two writers of one blob, which its user sees to; syncs, since a lost arrival is only fetched again.
 */
import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, statSync, truncateSync, writeSync } from "node:fs";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestAlgorithm, encodedDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { Breath } from "./breath.ts";
import { explainFull } from "./disk-full.ts";

/** Bytes read from disk at a time. */
const readBytes = 512 << 10;
/** Age at which what nobody came back for goes. */
export const arrivalKeptMs = 24 * 3600 * 1000;

export class Arrivals {
  readonly #root: string;
  readonly #open = new Set<string>();

  private constructor(root: string) {
    this.#root = root;
  }

  /** Makes what is missing. */
  static async open(root: string): Promise<Arrivals> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    return new Arrivals(root);
  }

  /** What is there of a blob, ready for more. Reads what came earlier once. */
  async resume(expect: { readonly digest: Digest; readonly sizeBytes: number }): Promise<Arrival> {
    const name = `${digestAlgorithm(expect.digest)}-${encodedDigest(expect.digest)}`;
    if (this.#open.has(name)) throw new Fault("internal", `${expect.digest} is already on its way in`);
    this.#open.add(name);
    try {
      return await Arrival.open(join(this.#root, name), expect, () => this.#open.delete(name));
    } catch (error) {
      this.#open.delete(name);
      throw explainFull(error, this.#root);
    }
  }

  /** Removes what has been lying about. @returns Bytes given back. */
  async sweep(o: { readonly olderThanMs?: number } = {}): Promise<number> {
    let freed = 0;
    for (const name of await readdir(this.#root)) {
      if (this.#open.has(name)) continue;
      const path = join(this.#root, name);
      const found = await stat(path).catch(() => undefined);
      if (found === undefined || Date.now() - found.mtimeMs < (o.olderThanMs ?? arrivalKeptMs)) continue;
      await rm(path, { force: true });
      freed += found.size;
    }
    return freed;
  }

  /** Bytes of everything on its way in. */
  async usage(): Promise<number> {
    const names = await readdir(this.#root);
    const sizes = await Promise.all(
      names.map(async (name) => await stat(join(this.#root, name)).catch(() => undefined)),
    );
    return sizes.reduce((sum, found) => sum + (found?.size ?? 0), 0);
  }
}

/** Dispose it to stop for now; what came is kept. */
export class Arrival implements Disposable {
  readonly digest: Digest;
  readonly expectedBytes: number;
  readonly #path: string;
  readonly #closed: () => void;
  #hash: Hash;
  #file: number;
  #sizeBytes = 0;

  private constructor(
    path: string,
    expect: { readonly digest: Digest; readonly sizeBytes: number },
    closed: () => void,
  ) {
    this.digest = expect.digest;
    this.expectedBytes = expect.sizeBytes;
    this.#path = path;
    this.#closed = closed;
    this.#hash = createHash(digestAlgorithm(expect.digest));
    this.#file = openSync(path, "a+", 0o600);
  }

  static async open(
    path: string,
    expect: { readonly digest: Digest; readonly sizeBytes: number },
    closed: () => void,
  ): Promise<Arrival> {
    const arrival = new Arrival(path, expect, closed);
    if (statSync(path).size > expect.sizeBytes) arrival.reset();
    else
      for await (const bytes of arrival.read()) {
        arrival.#hash.update(bytes);
        arrival.#sizeBytes += bytes.length;
      }
    return arrival;
  }

  /** What has come so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get isWhole(): boolean {
    return this.#sizeBytes === this.expectedBytes;
  }

  /** @throws Fault `invalid` at the first byte too many; `unavailable` on a full disk. */
  append(bytes: Uint8Array): void {
    if (this.#sizeBytes + bytes.length > this.expectedBytes) {
      this.reset();
      throw new Fault(
        "invalid",
        `blob ${this.digest} has more than the ${this.expectedBytes} bytes that were announced`,
      );
    }
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done);
    } catch (error) {
      throw explainFull(error, this.#path);
    }
    this.#hash.update(bytes);
    this.#sizeBytes += bytes.length;
  }

  /** From nothing again. */
  reset(): void {
    truncateSync(this.#path, 0);
    this.#hash = createHash(digestAlgorithm(this.digest));
    this.#sizeBytes = 0;
  }

  /** @throws Fault `invalid` when it is not what it should be; nothing of it is kept then. */
  verify(): void {
    const hash = this.#hash.copy();
    const digest = `${digestAlgorithm(this.digest)}:${hash.digest("hex")}`;
    if (this.isWhole && digest === this.digest) return;
    const [size, expected] = [this.#sizeBytes, this.expectedBytes];
    this.reset();
    throw new Fault(
      "invalid",
      size === expected
        ? `filesystem layer verification failed for digest ${this.digest}: what came has ${digest}`
        : `blob ${this.digest} came with ${size} instead of ${expected} bytes`,
    );
  }

  /** What has come so far, in parts that are lent until the next one. */
  async *read(): AsyncGenerator<Uint8Array> {
    await using file = await open(this.#path, "r");
    const breath = new Breath();
    const buffer = Buffer.allocUnsafeSlow(readBytes);
    for (let at = 0; ; ) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
      if (breath.due) await breath.take();
    }
  }

  /** It was made into something, or is not wanted. */
  async discard(): Promise<void> {
    this[Symbol.dispose]();
    await rm(this.#path, { force: true });
  }

  [Symbol.dispose](): void {
    if (this.#file < 0) return;
    closeSync(this.#file);
    this.#file = -1;
    this.#closed();
  }
}
