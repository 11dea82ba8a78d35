/**
 * Layers as they go to a registry: gzip, in blocks that are compressed one by one with ISA-L, or side by side by the thread
 * pool where that is not installed.
 * Promises: equal bytes give equal bytes, whatever the sizes they come in and however many cores there are; with another
 * compressor they give others, which are as good. Each block is a gzip member (RFC 1952 section 2.2), which every reader of
 * gzip joins.
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { GzipPacker, hasFastGzip } from "#kernel/isal.ts";

/** Plain bytes in a block: large enough to cost nothing in size. */
const blockBytes = 1 << 20;
/** Blocks in work at once: what is held in memory is this many blocks, twice. */
const blocksMax = 6;
/** Part of what a layer's digest depends on: never to be changed. Level 4 takes half the time of 6 for a few percent more. */
const level = 4;
/** Room for a whole block: smaller pieces would take a turn of the thread pool each. */
const chunkSize = blockBytes;
type Options = { readonly level: number; readonly chunkSize: number };
const compressed = promisify(gzip as (bytes: Uint8Array, o: Options, done: Done) => void);
type Done = (error: Error | null, result: Buffer) => void;

/** Parts are lent until the next one, those of `source` may be so. @throws What `source` throws. */
export function gzipBlocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  return hasFastGzip() ? oneByOne(source) : sideBySide(source);
}

async function* oneByOne(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const packer = new GzipPacker(blockBytes);
  for await (const block of inBlocks(source)) yield packer.pack(block);
}

/** Without ISA-L: by zlib, in the thread pool. */
export async function* sideBySide(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const working: Promise<Buffer>[] = [];
  for await (const block of inBlocks(source)) {
    const work = compressed(Buffer.from(block), { level, chunkSize });
    work.catch(() => undefined);
    working.push(work);
    if (working.length === blocksMax) yield (await working.shift()) ?? Buffer.alloc(0);
  }
  for (const work of working) yield await work;
}

/** Lent until the next. At least one, if an empty one. */
async function* inBlocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const block = Buffer.allocUnsafeSlow(blockBytes);
  let [used, empty] = [0, true];
  for await (const bytes of source)
    for (let at = 0; at < bytes.length; ) {
      const taken = Math.min(bytes.length - at, blockBytes - used);
      block.set(bytes.subarray(at, at + taken), used);
      used += taken;
      at += taken;
      if (used < blockBytes) continue;
      yield block;
      empty = false;
      used = 0;
    }
  if (used > 0 || empty) yield block.subarray(0, used);
}
