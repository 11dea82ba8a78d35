/**
 * A tar written anew, entry by entry: with other times, or without some of its files.
 * Promises: equal archives give equal archives; what is not changed stays. Sparse files are written out whole.
 */
import { Breath } from "#store/breath.ts";
import type { TarEntry } from "./tar-entry.ts";
import { TarReader } from "./tar-reader.ts";
import { encodeEntry, endOfArchive, paddingAfter } from "./tar-writer.ts";

/** Zeros of a hole, handed out in pieces. */
const zeros = Buffer.alloc(64 << 10);

/** Nothing in it is younger than the moment: what `rewrite-timestamp` makes of a layer. See `rewriteTar`. */
export function clampTar(
  source: AsyncIterable<Uint8Array>,
  epochMs: number,
  o: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Uint8Array> {
  const epochNano = BigInt(epochMs) * 1_000_000n;
  const clamp = (entry: TarEntry) =>
    entry.mtimeNano > epochNano ? { ...entry, mtimeNano: epochNano } : entry;
  return rewriteTar(source, clamp, o);
}

/**
 * `change` gives each entry as it is to be, or undefined for one to be left out. Parts of `source` may be lent; those that
 * come out are not. @throws Fault `invalid` for a damaged archive.
 */
export async function* rewriteTar(
  source: AsyncIterable<Uint8Array>,
  change: (entry: TarEntry) => TarEntry | undefined,
  o: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Uint8Array> {
  let out: Uint8Array[] = [];
  let [written, size] = [0, 0];
  const fill = (until: number): void => {
    while (written < until) {
      const part = zeros.subarray(0, Math.min(zeros.length, until - written));
      out.push(part);
      written += part.length;
    }
  };
  const reader = new TarReader({
    entry: (entry) => {
      const { extents: _, ...plain } = entry;
      const changed = change(plain);
      [written, size] = [0, changed?.kind === "file" ? entry.sizeBytes : 0];
      if (changed === undefined) return false;
      out.push(encodeEntry(changed));
      return entry.kind === "file";
    },
    content: (bytes, offset) => {
      fill(offset);
      out.push(Buffer.from(bytes));
      written += bytes.length;
    },
    endEntry: () => {
      fill(size);
      if (size > 0) out.push(paddingAfter(size));
      size = 0;
    },
  });
  const breath = new Breath(o.signal);
  for await (const part of source) {
    reader.push(Buffer.from(part.buffer, part.byteOffset, part.length));
    yield* out;
    out = [];
    if (breath.due) await breath.take();
  }
  reader.finish({ endRequired: false });
  yield* out;
  yield endOfArchive;
}
