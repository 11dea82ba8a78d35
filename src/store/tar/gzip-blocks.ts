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
import { besideBlocks, blockBytes, inBlocks } from "./blocks.ts";

/** Part of what a layer's digest depends on: never to be changed. Level 4 takes half the time of 6 for a few percent more. */
const defaultLevel = 4;
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

/** Without ISA-L, or at a level of one's own (zlib's 0 to 9): by zlib, in the thread pool. */
export function sideBySide(
  source: AsyncIterable<Uint8Array>,
  level = defaultLevel,
): AsyncGenerator<Uint8Array> {
  return besideBlocks(source, (block) => compressed(block, { level, chunkSize }));
}
