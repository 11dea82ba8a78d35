/**
 * Plain bytes out of streams that may be compressed; the format is read from the first bytes, never from a name.
 * gzip and zstd in this process, bzip2 and xz by the machine's own tools.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { hasFastGzip, Inflation } from "#kernel/isal.ts";
import { Fault } from "#spec/fault.ts";
import { ZstdFrames } from "./zstd-frames.ts";

export type Compression = "none" | "gzip" | "zstd" | "bzip2" | "xz";

export interface PlainStream {
  readonly compression: Compression;
  /** Read once; parts are lent until the next. @throws Fault `invalid` for damaged data; an error of the source as it is. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Bytes handed on at a time. */
const chunkBytes = 256 << 10;
const magicBytes = 6;

const magics: readonly (readonly [Exclude<Compression, "none">, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  // A skippable frame, as seekable zstd begins.
  ["zstd", [0x50, 0x2a, 0x4d, 0x18]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** By the first bytes; six are enough. */
export function sniffCompression(head: Uint8Array): Compression {
  for (const [name, magic] of magics) if (magic.every((byte, index) => head[index] === byte)) return name;
  return "none";
}

/** Reads as much of `source`, whose parts may be lent, as it takes to know. The source is closed when `bytes` is read or left. */
export async function decompress(source: AsyncIterable<Uint8Array>): Promise<PlainStream> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  for (let length = 0; length < magicBytes; ) {
    const next = await iterator.next();
    if (next.done === true) break;
    length += next.value.length;
    // Lent, and more is asked for before it is used.
    head.push(length < magicBytes ? Buffer.from(next.value) : next.value);
  }
  const whole = resume(head, iterator);
  const compression = sniffCompression(Buffer.concat(head));
  if (compression === "none") return { compression, bytes: whole };
  return { compression, bytes: plainBytes(whole, compression) };
}

/** @throws Fault `invalid` at the first byte too many. */
export async function* bounded(
  source: AsyncIterable<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const part of source) {
    total += part.length;
    if (total > bytesMax)
      throw new Fault(
        "invalid",
        `the archive unpacks to more than ${bytesMax} bytes, far more than its size: it is a bomb`,
      );
    yield part;
  }
}

async function* resume(
  head: readonly Uint8Array[],
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* head;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}

function plainBytes(
  source: AsyncIterable<Uint8Array>,
  compression: Exclude<Compression, "none">,
): AsyncIterable<Uint8Array> {
  if (compression === "gzip" && hasFastGzip()) return inflated(source);
  if (compression === "gzip") return through(source, createGunzip({ chunkSize: chunkBytes }), compression);
  if (compression === "zstd") return throughZstd(source);
  return throughTool(source, compression);
}

async function* inflated(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const inflation = new Inflation();
  for await (const part of source) yield* inflation.push(part);
  if (!inflation.complete) throw damaged("gzip", undefined);
}

/** A stream for Node's plumbing; an error of its source is kept, to be told from one of the data. */
class Input {
  failure: unknown;
  readonly stream: Readable;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.stream = Readable.from(owned(source), { objectMode: false });
    this.stream.on("error", (error) => {
      this.failure = error;
    });
  }
}

/** Streams keep what they are given for a while. */
async function* owned(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const part of source) yield Buffer.from(part);
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
    throw input.failure ?? damaged(compression, cause);
  } finally {
    input.stream.destroy();
    unpacker.destroy();
  }
}

/** The decompressor takes a stream that is cut off for one that ended. */
async function* throughZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames();
  async function* followed(): AsyncGenerator<Uint8Array> {
    for await (const part of source) {
      frames.push(part);
      yield part;
    }
  }
  yield* through(followed(), createZstdDecompress({ chunkSize: chunkBytes }), "zstd");
  if (!frames.complete) throw damaged("zstd", undefined);
}

async function* throughTool(
  source: AsyncIterable<Uint8Array>,
  tool: "bzip2" | "xz",
): AsyncGenerator<Uint8Array> {
  const child = spawn(hostProgram(tool), ["-dc"], { stdio: ["pipe", "pipe", "ignore"], env: {} });
  const ended = new Promise<number | Error>((resolve) => {
    child.once("error", resolve);
    child.once("close", (code) => resolve(code ?? -1));
  });
  const input = new Input(source);
  input.stream.on("error", () => child.kill());
  child.stdin.on("error", () => input.stream.destroy());
  input.stream.pipe(child.stdin);
  let outcome: number | Error | undefined;
  try {
    for await (const part of child.stdout) yield part as Buffer;
    outcome = await ended;
  } catch {
    // A program that is not there closes its pipes too early; what `ended` says is the better reason.
    outcome = await ended;
  } finally {
    input.stream.destroy();
    if (outcome === undefined) child.kill();
  }
  if (outcome === 0) return;
  if (input.failure !== undefined) throw input.failure;
  if (!(outcome instanceof Error)) throw damaged(tool, undefined);
  const needed = tool === "xz" ? "xz-utils" : "bzip2";
  throw new Fault("unsupported", `${tool} archives need the program ${tool}: install Debian's ${needed}`, {
    cause: outcome,
  });
}

/** By an absolute path: whatever a search would find. */
function hostProgram(name: string): string {
  const places = ["/usr/bin", "/bin", "/usr/local/bin"].map((directory) => `${directory}/${name}`);
  return places.find((path) => existsSync(path)) ?? `/usr/bin/${name}`;
}

function damaged(compression: Compression, cause: unknown): Fault {
  return new Fault("invalid", `the ${compression} data is damaged or cut off`, { cause });
}
