/** Where in a log its last lines begin, and where a record does that is not written out yet. */
import { fstatSync, readSync } from "node:fs";
import { endsLine } from "./log-parser.ts";

const blockBytes = 64 << 10;
const newline = 0x0a;

/** The end of the last whole record: one that is being written belongs to whoever begins at the end. */
export function wholeEnd(fd: number, size: number): number {
  const block = Buffer.allocUnsafe(Math.min(blockBytes, size));
  const read = readSync(fd, block, 0, block.length, size - block.length);
  const last = block.subarray(0, read).lastIndexOf(newline);
  // No end in so much is damage, or no record: nothing worth going back for.
  return last < 0 && size > block.length ? size : size - block.length + last + 1;
}

/**
 * The offset behind which lie the last `lines` lines of output among the first `size` bytes of the log: read backwards,
 * so it costs what is shown, not what is there.
 */
export function tailOffset(fd: number, lines: number, size = fstatSync(fd).size): number {
  if (lines <= 0) return wholeEnd(fd, size);
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
      readSync(fd, block, 0, length, start - length);
      start -= length;
      // Only what is still to be looked at is kept.
      bytes = Buffer.concat([block, bytes.subarray(0, edge - start - length)]);
      continue;
    }
    const begin = start + previous + 1;
    if (begin >= edge) return edge;
    // A line ends here, as every text does at its end; one more than wanted means that it is not wanted.
    const ends = edge === size || endsLine(bytes, begin - start);
    if (ends && ++found > lines) return edge;
    if (begin === 0) return 0;
    edge = begin;
  }
}
