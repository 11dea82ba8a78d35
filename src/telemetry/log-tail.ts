/** Where in a log its last lines begin, and where a record does that is not written out yet. */
import { read as readCallback, readSync } from "node:fs";
import { promisify } from "node:util";
import { endsLine } from "./log-parser.ts";

const read = promisify(readCallback);
const blockBytes = 64 << 10;
const newline = 0x0a;

/** The end of the last whole record: one that is being written belongs to whoever begins at the end. */
export function wholeEnd(fd: number, size: number): number {
  const block = Buffer.allocUnsafe(Math.min(blockBytes, size));
  const got = readSync(fd, block, 0, block.length, size - block.length);
  const last = block.subarray(0, got).lastIndexOf(newline);
  // No end in so much is damage, or no record: nothing worth going back for.
  return last < 0 && size > block.length ? size : size - block.length + last + 1;
}

export interface Tail {
  /** Where the wanted lines begin. */
  readonly offset: number;
  /** How many lines end behind it. */
  readonly lines: number;
}

/**
 * The offset behind which lie the last `lines` lines of output among the first `size` bytes of the file: read backwards, so
 * it costs what is shown, not what is there. `last`: nothing was written behind this file, so its end ends a line; in others it
 * may be the beginning of one that ends in the next file, and belongs to that.
 */
export async function findTail(
  fd: number,
  o: { readonly lines: number; readonly size: number; readonly last: boolean },
): Promise<Tail> {
  const { lines, size } = o;
  if (lines <= 0 && o.last) return { offset: wholeEnd(fd, size), lines: 0 };
  // The end of the record looked at, and the bytes from `start` on.
  let [start, bytes, found] = [size, Buffer.alloc(0), 0];
  let edge = size;
  for (;;) {
    // The newline that ends the record before this one.
    const from = edge - start - 2;
    const previous = from < 0 ? -1 : bytes.lastIndexOf(newline, from);
    if (previous < 0 && start > 0) {
      const length = Math.min(blockBytes, start);
      const block = Buffer.allocUnsafe(length);
      await read(fd, block, 0, length, start - length);
      start -= length;
      // Only what is still to be looked at is kept.
      bytes = Buffer.concat([block, bytes.subarray(0, edge - start - length)]);
      continue;
    }
    const begin = start + previous + 1;
    if (begin >= edge) return { offset: edge, lines: found };
    // A line ends here, as every text does at its end; one more than wanted means that it is not wanted.
    const ends = (o.last && edge === size) || endsLine(bytes, begin - start);
    if (ends && ++found > lines) return { offset: edge, lines };
    if (begin === 0) return { offset: 0, lines: found };
    edge = begin;
  }
}

/** Counts the lines that end in a log read from its start, and finds where one of them does. */
export class LineEnds {
  #rest = Buffer.alloc(0);
  #at = 0;
  #count = 0;
  readonly #wanted: number;
  #found: number | undefined;

  /** `wanted`: of which line to tell the end; the first is 1. */
  constructor(wanted = 0) {
    this.#wanted = wanted;
  }

  get count(): number {
    return this.#count;
  }

  /** The offset behind the wanted line, once it came. */
  get found(): number | undefined {
    return this.#wanted === 0 ? 0 : this.#found;
  }

  push(bytes: Buffer): void {
    const text = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    for (let end = text.indexOf(newline); end >= 0; end = text.indexOf(newline, at)) {
      if (endsLine(text, at) && ++this.#count === this.#wanted) this.#found = this.#at + end + 1;
      at = end + 1;
    }
    this.#at += at;
    this.#rest = Buffer.from(text.subarray(at));
  }
}
