/**
 * Blobs: bytes by the digest of what they are.
 * Owns: `<algorithm>/<hex>` files beneath its root, and `incoming` for those being written.
 * Promises: a blob that is there is whole and has the digest it is named by, also after a power cut; a crash leaves
 * only files in `incoming`, which `open()` removes. Never: two writers of one root, nor an answer about who uses what.
 */
import { createHash, randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync, writeSync } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestAlgorithm, encodedDigest, isDigest, parseDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { abortable } from "./abortable.ts";
import { Breath } from "./breath.ts";
import { explainFull } from "./disk-full.ts";

/** Bytes read from disk at a time. */
const readBytes = 256 << 10;
const algorithms = ["sha256", "sha512"] as const;

export interface BlobInfo {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** What the sender said it would be. */
export interface ExpectedBlob {
  readonly digest?: Digest;
  readonly sizeBytes?: number;
}

export interface BlobRange {
  /** First byte. @default 0 */
  readonly start?: number;
  /** One past the last byte, cut to the blob's size. */
  readonly end?: number;
}

export class Blobs {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  /** Makes what is missing and removes what a crash left half-written. */
  static async open(root: string): Promise<Blobs> {
    const incoming = join(root, "incoming");
    await rm(incoming, { recursive: true, force: true });
    for (const directory of [...algorithms, "incoming"])
      await mkdir(join(root, directory), { recursive: true, mode: 0o700 });
    return new Blobs(root);
  }

  /**
   * Stores all of `source`. Idempotent: bytes that are there are not written again, and with `expect.digest` not even
   * read. On any failure nothing is left.
   * @throws Fault `invalid` when digest or size differ from `expect`; reading stops at the first byte too many.
   */
  async put(
    source: AsyncIterable<Uint8Array>,
    expect: ExpectedBlob = {},
    o: { readonly signal?: AbortSignal } = {},
  ): Promise<BlobInfo> {
    o.signal?.throwIfAborted();
    const known = expect.digest === undefined ? undefined : await this.#refresh(expect.digest);
    if (known !== undefined && expect.digest !== undefined) {
      checkSize(known, expect);
      await source[Symbol.asyncIterator]().return?.();
      return { digest: expect.digest, sizeBytes: known };
    }
    const path = join(this.#root, "incoming", randomBytes(16).toString("hex"));
    try {
      const info = await this.#receive(path, source, expect, o.signal);
      if ((await this.#refresh(info.digest)) === undefined) await this.#keep(path, info.digest);
      return info;
    } catch (error) {
      throw explainFull(error, this.#root);
    } finally {
      await rm(path, { force: true });
    }
  }

  async #receive(
    path: string,
    source: AsyncIterable<Uint8Array>,
    expect: ExpectedBlob,
    signal: AbortSignal | undefined,
  ): Promise<BlobInfo> {
    const algorithm = expect.digest === undefined ? "sha256" : digestAlgorithm(expect.digest);
    const hash = createHash(algorithm);
    const breath = new Breath(signal);
    const file = openSync(path, "wx", 0o600);
    let sizeBytes = 0;
    try {
      for await (const bytes of abortable(source, signal)) {
        sizeBytes += bytes.length;
        if (expect.sizeBytes !== undefined && sizeBytes > expect.sizeBytes) checkSize(sizeBytes, expect);
        hash.update(bytes);
        for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
        if (breath.due) await breath.take();
      }
    } finally {
      closeSync(file);
    }
    checkSize(sizeBytes, expect);
    const digest = parseDigest(`${algorithm}:${hash.digest("hex")}`);
    if (expect.digest !== undefined && digest !== expect.digest)
      throw new Fault(
        "invalid",
        `the blob's digest is ${digest}, not ${expect.digest} as announced: fetch it again`,
      );
    return { digest, sizeBytes };
  }

  /** On disk for good: the bytes, then the name. */
  async #keep(path: string, digest: Digest): Promise<void> {
    await synchronise(path);
    const target = this.#path(digest);
    await rename(path, target);
    await synchronise(join(target, ".."));
  }

  /** The size of a blob that is there, its age set to zero so that no sweep takes it now. */
  async #refresh(digest: Digest): Promise<number | undefined> {
    const info = await this.stat(digest);
    if (info === undefined) return undefined;
    const now = new Date();
    await utimes(this.#path(digest), now, now).catch(() => undefined);
    return info.sizeBytes;
  }

  /**
   * The bytes, or a part of them; the file is opened when reading begins and closed when it ends in any way. A blob
   * deleted meanwhile is still read to its end.
   * @throws Fault `not-found` at once; `invalid` for a range that begins after the end.
   */
  open(digest: Digest, range: BlobRange = {}): AsyncIterable<Uint8Array> {
    const path = this.#path(digest);
    if (!existsSync(path)) throw absent(digest);
    return read(path, range);
  }

  /** All bytes at once, for what is known to be small. @throws Fault `not-found`. */
  async read(digest: Digest): Promise<Uint8Array> {
    const file = Bun.file(this.#path(digest));
    if (!(await file.exists())) throw absent(digest);
    return file.bytes();
  }

  /** Undefined when it is not there. */
  async stat(digest: Digest): Promise<{ readonly sizeBytes: number } | undefined> {
    const found = await stat(this.#path(digest)).catch(ifMissing);
    return found === undefined ? undefined : { sizeBytes: found.size };
  }

  /** Idempotent: false when it is not there. */
  async delete(digest: Digest): Promise<boolean> {
    const path = this.#path(digest);
    const removed = await unlink(path).then(() => true, ifMissing);
    return removed === true;
  }

  /** Every blob, in no order; `changedMs` is when it was last put, in milliseconds since the epoch. */
  async *walk(): AsyncGenerator<BlobInfo & { readonly changedMs: number }> {
    for (const algorithm of algorithms)
      for (const name of await readdir(join(this.#root, algorithm))) {
        const digest = `${algorithm}:${name}`;
        const found = isDigest(digest) ? await stat(this.#path(digest)).catch(ifMissing) : undefined;
        if (found !== undefined && isDigest(digest))
          yield { digest, sizeBytes: found.size, changedMs: found.mtimeMs };
      }
  }

  #path(digest: Digest): string {
    return join(this.#root, digestAlgorithm(digest), encodedDigest(digest));
  }
}

async function* read(path: string, range: BlobRange): AsyncGenerator<Uint8Array> {
  await using file = await open(path);
  const { size } = await file.stat();
  let at = range.start ?? 0;
  const end = Math.min(range.end ?? size, size);
  if (at > size || at < 0) throw new Fault("invalid", `the range begins at ${at} of ${size} bytes`);
  while (at < end) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(readBytes, end - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new Fault("internal", `${path} became shorter while it was read`);
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function checkSize(sizeBytes: number, expect: ExpectedBlob): void {
  if (expect.sizeBytes === undefined || sizeBytes === expect.sizeBytes) return;
  const relation = sizeBytes > expect.sizeBytes ? "more" : `${sizeBytes} bytes`;
  throw new Fault("invalid", `the blob has ${relation} instead of ${expect.sizeBytes} bytes: fetch it again`);
}

async function synchronise(path: string): Promise<void> {
  const handle: FileHandle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function absent(digest: Digest): Fault {
  return new Fault("not-found", `there is no blob ${digest}`);
}

function ifMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw error;
}
