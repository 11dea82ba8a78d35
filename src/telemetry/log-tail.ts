/** Where in a log its last lines begin. */
import { fstatSync, readSync } from "node:fs";
import { endsLine } from "./log-parser.ts";

const blockBytes = 64 << 10;
const newline = 0x0a;

/**
 * The offset behind which lie the last `lines` lines of output among the first `size` bytes of the log: read backwards,
 * so it costs what is shown, not what is there.
 */
export function tailOffset(fd: number, lines: number, size = fstatSync(fd).size): number {
  if (lines <= 0) return size;
  // The end of the record looked at, and the bytes from `start` on.
  let [start, bytes, found] = [size, Buffer.alloc(0), 0];
  let recordStart = size;
  for (;;) {
    // The newline that ends the record before this one.
    const from = recordStart - start - 2;
    const previous = from < 0 ? -1 : bytes.lastIndexOf(newline, from);
    if (previous < 0 && start > 0) {
      const length = Math.min(blockBytes, start);
      const block = Buffer.allocUnsafe(length);
      readSync(fd, block, 0, length, start - length);
      start -= length;
      // Only what is still to be looked at is kept.
      bytes = Buffer.concat([block, bytes.subarray(0, recordStart - start - length)]);
      continue;
    }
    const begin = start + previous + 1;
    if (begin >= recordStart) return recordStart;
    // A line ends here, as every text does at its end; one more than wanted means that it is not wanted.
    const ends = recordStart === size || endsLine(bytes, begin - start);
    if (ends && ++found > lines) return recordStart;
    if (begin === 0) return 0;
    recordStart = begin;
  }
}
