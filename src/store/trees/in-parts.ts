/** Small pieces of a stream and stretches of files, gathered into parts worth sending. */
import { Breath } from "#store/breath.ts";
import type { FileStretch } from "./file-stretch.ts";

/** Bytes handed on at a time. */
const partBytes = 256 << 10;

/**
 * All that `pieces` are, each looked at before the next is asked for. Parts are lent until the next one: fresh memory for
 * every part costs more than what is done with it.
 */
export async function* inParts(
  pieces: Iterable<Buffer | FileStretch>,
  o: { readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Buffer> {
  const breath = new Breath(o.signal);
  const part = Buffer.allocUnsafeSlow(partBytes);
  let used = 0;
  for (const piece of pieces) {
    for (let at = 0; hasMore(piece, at); ) {
      if (Buffer.isBuffer(piece)) {
        const taken = piece.copy(part, used, at);
        at += taken;
        used += taken;
      } else used += piece.read(part.subarray(used));
      if (used === partBytes) {
        yield part;
        used = 0;
      }
      if (breath.due) await breath.take();
    }
  }
  if (used > 0) yield part.subarray(0, used);
}

function hasMore(piece: Buffer | FileStretch, at: number): boolean {
  return Buffer.isBuffer(piece) ? at < piece.length : piece.leftBytes > 0;
}
