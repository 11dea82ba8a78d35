/** The bytes of one file of a log, from an offset on, decompressed if need be. */
import { createReadStream, read as readCallback } from "node:fs";
import { promisify } from "node:util";
import { createGunzip } from "node:zlib";
import { LineEnds } from "./log-tail.ts";

const read = promisify(readCallback);
const readBytes = 256 << 10;

/** For `readPlain`; one for each who reads. */
export function readBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(readBytes);
}

/** Parts of the file up to its end as it is now. A part is overwritten by the next. The descriptor stays open. */
export async function* readPlain(fd: number, from: number, buffer: Buffer): AsyncGenerator<Buffer> {
  for (let at = from; ; ) {
    const { bytesRead } = await read(fd, buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** `from` counts bytes of the text. What is damaged ends it. The descriptor stays open. */
export async function* readCompressed(fd: number, from: number): AsyncGenerator<Buffer> {
  const source = createReadStream("", { fd, start: 0, autoClose: false, highWaterMark: readBytes });
  const text = source.pipe(createGunzip());
  let skip = from;
  try {
    for await (const part of text as AsyncIterable<Buffer>) {
      if (skip >= part.length) skip -= part.length;
      else {
        yield part.subarray(skip);
        skip = 0;
      }
    }
  } finally {
    source.unpipe();
    text.destroy();
  }
}

/** As `findTail`, of a compressed file: it has no end to begin from, so it is read, twice if its first lines are not wanted. */
export async function findCompressedTail(
  fd: number,
  lines: number,
): Promise<{ offset: number; lines: number }> {
  const all = new LineEnds();
  for await (const part of readCompressed(fd, 0)) all.push(part);
  if (all.count <= lines) return { offset: 0, lines: all.count };
  const edge = new LineEnds(all.count - lines);
  for await (const part of readCompressed(fd, 0)) {
    edge.push(part);
    if (edge.found !== undefined) break;
  }
  return { offset: edge.found ?? 0, lines };
}
