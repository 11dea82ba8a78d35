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

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
