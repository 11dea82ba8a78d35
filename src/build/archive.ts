/**
 * Compressed streams and tar files, as contexts and as what ADD unpacks: gzip and zstd here, bzip2 and xz by the
 * machine's own tools. The format is read from the first bytes, never from a name.
 */
import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { Fault } from "#spec/fault.ts";

export type Compression = "none" | "gzip" | "zstd" | "bzip2" | "xz";

const magics: readonly (readonly [Exclude<Compression, "none">, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

export function sniffCompression(head: Uint8Array): Compression {
  for (const [name, magic] of magics) if (magic.every((byte, index) => head[index] === byte)) return name;
  return "none";
}

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
    parts.push(next.value);
    length += next.value.length;
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
  const outer = await peek(source, tarBlockBytes);
  const compression = sniffCompression(outer.head);
  if (compression === "none") return outer;
  return peek(plainBytes(outer.bytes, compression), tarBlockBytes);
}

function plainBytes(
  source: AsyncIterable<Uint8Array>,
  compression: Exclude<Compression, "none">,
): AsyncIterable<Uint8Array> {
  if (compression === "bzip2" || compression === "xz") return throughTool(source, compression);
  const unpacker = compression === "gzip" ? createGunzip() : createZstdDecompress();
  return through(source, unpacker, compression);
}

/** A stream for Node's plumbing; an error of its source is kept, to be told from one of the data. */
class Input {
  failure: unknown;
  readonly stream: Readable;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.stream = Readable.from(source, { objectMode: false });
    this.stream.on("error", (error) => {
      this.failure = error;
    });
  }
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  unpacker: NodeJS.ReadWriteStream & Readable,
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  const input = new Input(source);
  input.stream.on("error", (error) => unpacker.destroy(error));
  input.stream.pipe(unpacker);
  try {
    for await (const part of unpacker) yield part as Buffer;
  } catch (cause) {
    if (input.failure !== undefined) throw input.failure;
    throw damaged(compression, cause);
  } finally {
    input.stream.destroy();
    unpacker.destroy();
  }
}

async function* throughTool(
  source: AsyncIterable<Uint8Array>,
  tool: "bzip2" | "xz",
): AsyncGenerator<Uint8Array> {
  const child = spawn(tool, ["-dc"], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = new Promise<number | Error>((resolve) => {
    child.once("error", resolve);
    child.once("close", (code) => resolve(code ?? -1));
  });
  const input = new Input(source);
  input.stream.on("error", () => child.kill());
  child.stdin.on("error", () => input.stream.destroy());
  input.stream.pipe(child.stdin);
  try {
    for await (const part of child.stdout) yield part as Buffer;
  } catch (cause) {
    // A program that is not there closes its pipes too early; what `ended` says is the better reason.
    if ((await ended) === 0) throw damaged(tool, cause);
  } finally {
    input.stream.destroy();
    child.kill();
  }
  const outcome = await ended;
  if (outcome === 0) return;
  if (input.failure !== undefined) throw input.failure;
  if (!(outcome instanceof Error)) throw damaged(tool);
  const needed = tool === "xz" ? "xz-utils" : "bzip2";
  throw new Fault("unsupported", `${tool} archives need the program ${tool}: install Debian's ${needed}`, {
    cause: outcome,
  });
}

function damaged(compression: Compression, cause?: unknown): Fault {
  return new Fault("invalid", `the ${compression} data is damaged or cut off`, { cause });
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
