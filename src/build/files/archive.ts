/** Tar files, compressed or not, as contexts and as what ADD unpacks: told by their first bytes, never by a name. */
import { createReadStream } from "node:fs";
import { Fault } from "#spec/fault.ts";
import { decompress as plain } from "#store/tar/decompress.ts";

const tarBlockBytes = 512;

/** True when a tar's first header stands there: its checksum fits, or it is the end of an empty archive. */
export function isTarHeader(head: Uint8Array): boolean {
  if (head.length < tarBlockBytes) return false;
  const block = head.subarray(0, tarBlockBytes);
  if (block.every((byte) => byte === 0)) return true;
  const written = Number.parseInt(Buffer.from(block.subarray(148, 156)).toString("latin1").trim(), 8);
  let sum = 0;
  for (const [index, byte] of block.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte;
  return written === sum;
}

/** A stream with its first bytes in hand, to be looked at before it is read. */
export interface PeekedStream {
  readonly head: Uint8Array;
  /** All of it, the head included. Read once. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Lets go of the source without reading it to the end. */
  close(): Promise<void>;
}

/** At least `count` bytes in the head, unless the stream is shorter. */
export async function peek(source: AsyncIterable<Uint8Array>, count: number): Promise<PeekedStream> {
  const iterator = source[Symbol.asyncIterator]();
  const parts: Uint8Array[] = [];
  let length = 0;
  while (length < count) {
    const next = await iterator.next();
    if (next.done === true) break;
    length += next.value.length;
    // Lent, and more is asked for before it is used.
    parts.push(length < count ? Buffer.from(next.value) : next.value);
  }
  async function* bytes() {
    try {
      yield* parts;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
        yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  const close = async () => void (await iterator.return?.());
  return { head: Buffer.concat(parts), bytes: bytes(), close };
}

/** The plain bytes of a stream that may be compressed, peeked at. @throws Fault `unsupported`, `invalid` on reading. */
export async function decompress(source: AsyncIterable<Uint8Array>): Promise<PeekedStream> {
  return await peek((await plain(source)).bytes, tarBlockBytes);
}

/** The file as a tar stream, or undefined when it is none, compressed or not (then it is copied as it is). */
export async function openArchive(path: string): Promise<PeekedStream | undefined> {
  const archive = await decompress(createReadStream(path)).catch((error: unknown) => {
    if (error instanceof Fault && error.kind === "invalid") return undefined;
    throw error;
  });
  if (archive !== undefined && isTarHeader(archive.head)) return archive;
  await archive?.close();
  return undefined;
}
