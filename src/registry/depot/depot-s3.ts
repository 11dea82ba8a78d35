/**
 * The depot in a bucket of S3 or whatever speaks it, for several registries at once. Asks the service for nothing but whole
 * objects and lists: no multipart uploads that somebody would have to clear away, no conditional writes, no copies.
 * Owns: `keys/` with a record for each key (s3-record), `parts/` with bytes that grew. Promises: a part is written before a
 * record speaks of it, and taken only when no record has for a while.
 */
import { setTimeout as pause } from "node:timers/promises";
import { byteStream } from "./byte-stream.ts";
import { checkKey, type Depot, type DepotEntry, type Growing } from "./depot.ts";
import { S3Bucket, type S3Place } from "./s3-bucket.ts";
import { GrowingObject } from "./s3-growing.ts";
import {
  decodeRecord,
  encodeRecord,
  piecesOf,
  type S3Head,
  type S3Piece,
  type S3Record,
} from "./s3-record.ts";

/** Most records are smaller; of others the rest is asked for. */
const headBytes = 64 << 10;
/** Of a large object, fetched at a time, and how many are under way for one reader. */
const pieceBytes = 2 << 20;
const piecesAhead = 3;
/** Records read at once when parts are looked for. */
const readsAtOnce = 16;
/** Somebody may be about to write a record that he has read: as long as a request may take. */
const settleMs = 30_000;

export class S3Depot implements Depot {
  readonly #bucket: S3Bucket;
  readonly #growing = new Set<string>();
  readonly #settleMs: number;

  private constructor(bucket: S3Bucket, waitMs: number) {
    this.#bucket = bucket;
    this.#settleMs = waitMs;
  }

  /** @throws Fault `unavailable` when the bucket cannot be listed. `settleMs` is for tests. */
  static async open(place: S3Place, o: { readonly settleMs?: number } = {}): Promise<S3Depot> {
    const bucket = new S3Bucket(place);
    await bucket.names("keys");
    return new S3Depot(bucket, o.settleMs ?? settleMs);
  }

  async stat(key: string): Promise<DepotEntry | undefined> {
    return (await this.#head(key))?.head;
  }

  async read(key: string): Promise<Uint8Array | undefined> {
    const record = await this.#record(key);
    if (record?.head.parts === undefined) return record?.bytes;
    return Buffer.concat(await Array.fromAsync(this.#pieces(record.head, 0, record.head.sizeBytes)));
  }

  async write(key: string, bytes: Uint8Array | string): Promise<void> {
    const given = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
    const head = { sizeBytes: given.length, touchedMs: Date.now() };
    await this.#bucket.put(at(key), encodeRecord(head, given));
  }

  async touch(key: string): Promise<boolean> {
    const record = await this.#record(key);
    if (record === undefined) return false;
    await this.#bucket.put(at(key), encodeRecord({ ...record.head, touchedMs: Date.now() }, record.bytes));
    return true;
  }

  /** What it was made of goes with the next sweep. */
  async remove(key: string): Promise<boolean> {
    if ((await this.#head(key)) === undefined) return false;
    await this.#bucket.delete(at(key));
    return true;
  }

  async move(from: string, to: string): Promise<boolean> {
    const record = await this.#record(from);
    if (record === undefined) return false;
    await this.#bucket.put(at(to), encodeRecord(record.head, record.bytes));
    await this.#bucket.delete(at(from));
    return true;
  }

  async list(prefix: string): Promise<string[]> {
    const names = await this.#bucket.names(at(prefix));
    return names.sort((a, b) => (a < b ? -1 : 1));
  }

  async body(key: string, range?: { readonly start: number; readonly end: number }) {
    const record = await this.#head(key);
    if (record === undefined) return undefined;
    const { head, bytes } = record;
    const { start, end } = range ?? { start: 0, end: head.sizeBytes };
    if (head.parts !== undefined) return byteStream(this.#pieces(head, start, end));
    const all = bytes.length < head.sizeBytes ? await this.read(key) : bytes;
    return all === undefined ? undefined : new Blob([all.slice(start, end)]);
  }

  async grow(key: string, o: { readonly create?: boolean } = {}): Promise<Growing | undefined> {
    if (this.#growing.has(key)) return undefined;
    this.#growing.add(key);
    try {
      const known = await this.#record(key);
      if (known?.head.parts !== undefined || (known === undefined && o.create === true)) {
        const growing = await GrowingObject.open(this.#bucket, {
          key: at(key),
          head: known?.head,
          keyOf: at,
          closed: () => this.#growing.delete(key),
        });
        return growing;
      }
    } catch (error) {
      this.#growing.delete(key);
      throw error;
    }
    this.#growing.delete(key);
    return undefined;
  }

  async sweep(beforeMs: number, signal: AbortSignal): Promise<number> {
    const old: string[] = [];
    for await (const { key, changedMs } of this.#bucket.walk("parts"))
      if (changedMs < beforeMs) old.push(key);
    let idle = old;
    for (const waitMs of [0, this.#settleMs]) {
      if (idle.length === 0) return 0;
      await pause(waitMs, undefined, { signal });
      const used = await this.#usedParts(signal);
      idle = idle.filter((key) => !used.has(key));
    }
    for (const key of idle) await this.#bucket.delete(key);
    return idle.length;
  }

  /** Blobs are looked at twice: one may come back from the trash between the two. */
  async #usedParts(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const used = new Set<string>();
    for (const folder of ["repositories", "blobs", "trash", "blobs"]) {
      const keys: string[] = [];
      // In repositories only uploads grow.
      for await (const { key } of this.#bucket.walk(at(folder)))
        if (folder !== "repositories" || key.includes("/_uploads/")) keys.push(key.slice("keys/".length));
      for (let done = 0; done < keys.length; done += readsAtOnce) {
        signal.throwIfAborted();
        await Promise.all(keys.slice(done, done + readsAtOnce).map((key) => this.#addParts(key, used)));
      }
    }
    return used;
  }

  async #addParts(key: string, used: Set<string>): Promise<void> {
    for (const part of (await this.#head(key))?.head.parts ?? []) used.add(part.key);
  }

  async #record(key: string): Promise<S3Record | undefined> {
    const bytes = await this.#bucket.get(at(key));
    return bytes === undefined ? undefined : decodeRecord(bytes, key);
  }

  /** Its bytes may be cut. */
  async #head(key: string): Promise<S3Record | undefined> {
    const bytes = await this.#bucket.get(at(key), { start: 0, end: headBytes });
    if (bytes === undefined) return undefined;
    return decodeRecord(bytes, key) ?? (await this.#record(key));
  }

  /** In order, some of them fetched ahead. */
  async *#pieces({ parts = [] }: S3Head, start: number, end: number): AsyncGenerator<Uint8Array> {
    const pieces = piecesOf(parts, { start, end, pieceBytes });
    const fetching: Promise<Uint8Array>[] = [];
    for (let next = 0; next < pieces.length || fetching.length > 0; ) {
      for (; next < pieces.length && fetching.length < piecesAhead; next++) {
        const piece = this.#bucket.piece(pieces[next] as S3Piece);
        // Told by whoever takes it; not before.
        piece.catch(() => undefined);
        fetching.push(piece);
      }
      const first = await fetching.shift();
      if (first !== undefined) yield first;
    }
  }
}

function at(key: string): string {
  checkKey(key);
  return `keys/${key}`;
}
