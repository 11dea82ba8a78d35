/** A stream in blocks of one size, whatever the sizes it comes in: work on each may go on beside the others. */

/** Plain bytes in a block: large enough to cost nothing in size. */
export const blockBytes = 1 << 20;
/** Blocks in work at once: what is held in memory is this many blocks, twice. */
const blocksMax = 6;

/** Lent until the next. At least one, if an empty one. */
export async function* inBlocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
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

/** What `work` makes of each block, in order; several are in work at once. */
export async function* besideBlocks(
  source: AsyncIterable<Uint8Array>,
  work: (block: Buffer) => Promise<Buffer>,
): AsyncGenerator<Uint8Array> {
  const working: Promise<Buffer>[] = [];
  for await (const block of inBlocks(source)) {
    const each = work(Buffer.from(block));
    each.catch(() => undefined);
    working.push(each);
    if (working.length === blocksMax) yield (await working.shift()) ?? Buffer.alloc(0);
  }
  for (const each of working) yield await each;
}
