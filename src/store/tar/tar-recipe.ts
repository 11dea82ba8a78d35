/**
 * How to write a layer's tar again, byte for byte: everything in it but the files' contents, which are in the layer.
 * Owns: one file of zstd frames, a few percent of the tar. Every layer has one, received or made here: so its digest
 * does not depend on how this or a later version writes tars, and no content is stored twice.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { BytePath } from "#kernel/files/byte-path.ts";
import { Fault } from "#spec/fault.ts";

/** Uncompressed bytes in one frame. */
const frameBytes = 1 << 20;
const structureTag = 0;
const contentTag = 1;

/** Bytes as they are, or a stretch of a file beneath the layer's root. */
export type RecipePart =
  | { readonly structure: Buffer }
  | { readonly path: BytePath; readonly offset: number; readonly length: number; readonly ordinal: number };

/** Writes synchronously. `end()` makes it complete; disposing without it leaves a file of no use. */
export class RecipeWriter implements Disposable {
  readonly #file: number;
  readonly #frame = Buffer.allocUnsafeSlow(frameBytes);
  #used = 0;
  #contents = 0;
  #path: BytePath | undefined;
  #offset = 0;
  #length = 0;

  /** @throws when `path` exists. */
  constructor(path: string) {
    this.#file = openSync(path, "wx", 0o600);
  }

  /** How many stretches of content came before. */
  get ordinal(): number {
    return this.#contents + (this.#path === undefined ? 0 : 1);
  }

  structure(bytes: Buffer): void {
    this.#endContent();
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + frameBytes / 2);
      this.#reserve(5 + part.length);
      this.#frame[this.#used] = structureTag;
      this.#frame.writeUInt32LE(part.length, this.#used + 1);
      part.copy(this.#frame, this.#used + 5);
      this.#used += 5 + part.length;
      at += part.length;
    }
  }

  /** The next `length` bytes are those at `offset` in the file. Stretches that join become one. */
  content(path: BytePath, offset: number, length: number): void {
    if (this.#path === path && this.#offset + this.#length === offset) {
      this.#length += length;
      return;
    }
    this.#endContent();
    this.#path = path;
    this.#offset = offset;
    this.#length = length;
  }

  #endContent(): void {
    const path = this.#path;
    if (path === undefined) return;
    this.#path = undefined;
    this.#contents++;
    this.#reserve(19 + path.length);
    this.#frame[this.#used] = contentTag;
    this.#frame.writeUInt16LE(path.length, this.#used + 1);
    this.#frame.write(path, this.#used + 3, "latin1");
    this.#frame.writeDoubleLE(this.#offset, this.#used + 3 + path.length);
    this.#frame.writeDoubleLE(this.#length, this.#used + 11 + path.length);
    this.#used += 19 + path.length;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes > frameBytes) this.#flush();
  }

  #flush(): void {
    if (this.#used === 0) return;
    const packed = zstdCompressSync(this.#frame.subarray(0, this.#used));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(packed.length);
    for (const bytes of [length, packed])
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done);
    this.#used = 0;
  }

  end(): void {
    this.#endContent();
    this.#flush();
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

/** The parts in order. Buffers are fresh. @throws Fault `internal` for a damaged file. */
export function* readRecipe(path: string): Generator<RecipePart> {
  const file = openSync(path, "r");
  try {
    let ordinal = 0;
    for (let frame = readFrame(file, path); frame !== undefined; frame = readFrame(file, path))
      for (let at = 0; at < frame.length; ) {
        if (frame[at] === structureTag) {
          const end = at + 5 + frame.readUInt32LE(at + 1);
          yield { structure: frame.subarray(at + 5, end) };
          at = end;
        } else {
          const end = at + 3 + frame.readUInt16LE(at + 1);
          const name = frame.toString("latin1", at + 3, end) as BytePath;
          const [offset, length] = [frame.readDoubleLE(end), frame.readDoubleLE(end + 8)];
          yield { path: name, offset, length, ordinal: ordinal++ };
          at = end + 16;
        }
      }
  } finally {
    closeSync(file);
  }
}

function readFrame(file: number, path: string): Buffer | undefined {
  const length = Buffer.alloc(4);
  const got = readSync(file, length);
  if (got === 0) return undefined;
  const packed = Buffer.alloc(got === 4 ? Math.min(length.readUInt32LE(), 2 * frameBytes) : 0);
  try {
    if (packed.length === 0 || readSync(file, packed) !== packed.length) throw new Error("cut off");
    return zstdDecompressSync(packed);
  } catch (cause) {
    throw new Fault("internal", `${path} is damaged: remove the image and pull or build it again`, { cause });
  }
}
