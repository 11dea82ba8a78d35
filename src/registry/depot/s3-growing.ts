/**
 * An object of the depot in S3 that grows: parts of some mebibytes, each written once under a name of its own, and a record
 * that says which belong to it.
 * Promises: the record follows closely, so that an upload whose process died goes on at the last full part; whoever finds
 * that another has written meanwhile gives up instead of losing the other's bytes.
 */
import { randomBytes } from "node:crypto";
import { Fault } from "#spec/fault.ts";
import type { Growing } from "./depot.ts";
import type { S3Bucket } from "./s3-bucket.ts";
import { decodeRecord, encodeRecord, piecesOf, type S3Head, type S3Part } from "./s3-record.ts";

/** Of a full part. Times `writesAtOnce` is what an upload holds in memory. */
const partBytes = 8 << 20;
const writesAtOnce = 2;

/** `bytes`: until they are written. */
interface Part extends S3Part {
  bytes?: Uint8Array | undefined;
}

interface Opened {
  readonly key: string;
  /** Undefined: begins empty. */
  readonly head: S3Head | undefined;
  readonly keyOf: (key: string) => string;
  readonly closed: () => void;
}

export class GrowingObject implements Growing {
  readonly #bucket: S3Bucket;
  readonly #o: Opened;
  readonly #session = randomBytes(12).toString("hex");
  readonly #parts: Part[];
  readonly #writing = new Set<Promise<void>>();
  #noting: Promise<void> | undefined;
  #unnoted = false;
  /** The last bytes, not yet a part. */
  #tail: Buffer | undefined;
  #tailBytes = 0;
  #sizeBytes: number;
  #mark: string;
  /** What the record says. */
  #noted: string;
  #failure: { readonly thrown: unknown } | undefined;
  #ended = false;

  private constructor(bucket: S3Bucket, o: Opened) {
    this.#bucket = bucket;
    this.#o = o;
    this.#parts = [...(o.head?.parts ?? [])];
    this.#sizeBytes = o.head?.sizeBytes ?? 0;
    this.#mark = o.head?.version ?? "";
    this.#noted = this.#mark;
  }

  static async open(bucket: S3Bucket, o: Opened): Promise<GrowingObject> {
    const growing = new GrowingObject(bucket, o);
    if (o.head === undefined) await growing.#writeRecord();
    return growing;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Within a session only its own bytes come, so it and the size say which. */
  get mark(): string {
    return this.#mark;
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#tail ??= await this.#reopenedTail();
    for (let done = 0; done < bytes.length; ) {
      const taken = bytes.subarray(done, done + partBytes - this.#tailBytes);
      this.#tail.set(taken, this.#tailBytes);
      this.#tailBytes += taken.length;
      done += taken.length;
      this.#sizeBytes += taken.length;
      this.#mark = `${this.#session}-${this.#sizeBytes}`;
      if (this.#tailBytes === partBytes) await this.#flush();
    }
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }

  /** A small last part is written again with what comes, so that many small appends make no small parts. */
  async #reopenedTail(): Promise<Buffer> {
    const tail = Buffer.allocUnsafeSlow(partBytes);
    const last = this.#parts.at(-1);
    if (last === undefined || last.sizeBytes >= partBytes) return tail;
    tail.set(await this.#bucket.piece({ key: last.key, start: 0, end: last.sizeBytes }));
    this.#tailBytes = last.sizeBytes;
    this.#parts.pop();
    return tail;
  }

  async #flush(): Promise<void> {
    if (this.#tail === undefined || this.#tailBytes === 0) return;
    const bytes = this.#tail.subarray(0, this.#tailBytes);
    this.#tail = Buffer.allocUnsafeSlow(partBytes);
    this.#tailBytes = 0;
    const key = `parts/${this.#session}/${String(this.#parts.length).padStart(6, "0")}`;
    const part: Part = { key, sizeBytes: bytes.length, bytes };
    this.#parts.push(part);
    const writing = this.#write(part, bytes).finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
    while (this.#writing.size >= writesAtOnce) await Promise.race(this.#writing);
  }

  async #write(part: Part, bytes: Uint8Array): Promise<void> {
    try {
      await this.#bucket.put(part.key, bytes);
      part.bytes = undefined;
      this.#unnoted = true;
      this.#noting ??= this.#note().finally(() => {
        this.#noting = undefined;
      });
    } catch (thrown) {
      this.#failure ??= { thrown };
    }
  }

  /** One record at a time; the next one speaks of all parts that came meanwhile. */
  async #note(): Promise<void> {
    while (this.#unnoted && this.#failure === undefined) {
      this.#unnoted = false;
      await this.#writeRecord();
    }
  }

  /** Of the parts that are written, without a gap. */
  async #writeRecord(): Promise<void> {
    try {
      await this.#checkAlone();
      const parts = this.#writtenParts();
      const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
      const version =
        sizeBytes === this.#sizeBytes ? this.#mark || `${this.#session}-0` : `${this.#session}-${sizeBytes}`;
      await this.#bucket.put(this.#o.key, encodeRecord({ sizeBytes, touchedMs: Date.now(), version, parts }));
      this.#noted = version;
      if (this.#mark === "") this.#mark = version;
    } catch (thrown) {
      this.#failure ??= { thrown };
    }
  }

  #writtenParts(): S3Part[] {
    const gap = this.#parts.findIndex(({ bytes }) => bytes !== undefined);
    return this.#parts.slice(0, gap < 0 ? undefined : gap).map(({ key, sizeBytes }) => ({ key, sizeBytes }));
  }

  /** @throws Fault `conflict` when another wrote, or took it away. */
  async #checkAlone(): Promise<void> {
    if (this.#noted === "") return;
    const bytes = await this.#bucket.get(this.#o.key);
    const record = bytes === undefined ? undefined : decodeRecord(bytes, this.#o.key);
    if (record?.head.version !== this.#noted)
      throw new Fault("conflict", "another request writes to this upload or has ended it");
  }

  /** Everything that was appended is in parts. */
  async #settle(): Promise<void> {
    await this.#flush();
    await Promise.all(this.#writing);
    await this.#noting;
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    const found: Uint8Array[] = [];
    const kept = new Map(this.#parts.map((part) => [part.key, part]));
    const last: S3Part = { key: "", sizeBytes: this.#tailBytes };
    const tail = this.#tail?.subarray(0, this.#tailBytes);
    for (const piece of piecesOf([...this.#parts, last], { start, end, pieceBytes: partBytes })) {
      const bytes = piece.key === "" ? tail : kept.get(piece.key)?.bytes;
      found.push(bytes?.subarray(piece.start, piece.end) ?? (await this.#bucket.piece(piece)));
    }
    return Buffer.concat(found);
  }

  async keep(key: string): Promise<void> {
    await this.#settle();
    await this.#checkAlone();
    const head = { sizeBytes: this.#sizeBytes, touchedMs: Date.now(), parts: this.#writtenParts() };
    await this.#bucket.put(this.#o.keyOf(key), encodeRecord(head));
    await this.#end();
  }

  async discard(): Promise<void> {
    await Promise.all(this.#writing);
    await this.#noting;
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#ended = true;
    await this.#bucket.delete(this.#o.key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#ended) return;
      await this.#settle();
      if (this.#noted !== this.#mark) await this.#writeRecord();
      if (this.#failure !== undefined) throw this.#failure.thrown;
    } finally {
      this.#o.closed();
    }
  }
}
