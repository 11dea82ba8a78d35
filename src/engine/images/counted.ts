/** Pure. Streams of bytes on their way in or out of the engine: counted, or made of one piece. */

/** Hands `source` on; `tell` gets the sum of what was taken so far. */
export async function* counted(
  source: AsyncIterable<Uint8Array>,
  tell: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const part of source) {
    yield part;
    total += part.length;
    tell(total);
  }
}

/** All of a stream that is known to be small, whose parts may be lent. */
export async function gathered(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
