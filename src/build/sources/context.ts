/**
 * The build context: what the client sent, as a directory that COPY and ADD read.
 * Owns: receiving it, finding the Dockerfile, applying .dockerignore here too (a client may not have).
 * Promises: nothing is written outside the directory given; excluded files are gone, but the Dockerfile was read before.
 */
import { readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { decompress, isTarHeader } from "#build/files/archive.ts";
import { ignoreFilter, ignoreLines } from "#build/files/ignore-patterns.ts";
import { lookAt, resolveInRoot } from "#build/files/rooted-path.ts";
import { unpackInto } from "#build/files/unpack-into.ts";
import { Fault } from "#spec/fault.ts";
import type { ContentHashes } from "#store/tar/content-hashes.ts";

/** A Dockerfile is text for people; 4 MiB of it is a mistake. */
const dockerfileBytesMax = 4 << 20;
const defaultName = "Dockerfile";

export interface ReceiveOptions {
  /** An empty directory. */
  readonly directory: string;
  /** Path in the context. */
  readonly dockerfile: string;
  /** Notes what the files hold. */
  readonly hashes?: ContentHashes;
  readonly signal: AbortSignal;
}

export interface ReceivedContext {
  /** Where its files are. */
  readonly directory: string;
  /** The Dockerfile's text and the name it goes by in messages. */
  readonly text: string;
  readonly name: string;
}

/**
 * Unpacks a tar, plain or compressed; bytes that are text instead are taken as a Dockerfile without a context.
 * @throws Fault `invalid` when there is no such Dockerfile, it is empty, or the bytes are neither.
 */
export async function receiveContext(
  body: AsyncIterable<Uint8Array>,
  o: ReceiveOptions,
): Promise<ReceivedContext> {
  const stream = await decompress(body);
  const { directory, hashes, signal } = o;
  if (!isTarHeader(stream.head))
    return { directory, text: await onlyDockerfile(stream.bytes), name: defaultName };
  await unpackInto(stream.bytes, directory, { hashes, signal });
  return await readContext(directory, o);
}

/**
 * Files that are there already as a context: what `.dockerignore` leaves out is removed.
 * @throws Fault `invalid` when there is no such Dockerfile, or it is empty.
 */
export async function readContext(
  directory: string,
  { dockerfile, signal }: Pick<ReceiveOptions, "dockerfile" | "signal">,
): Promise<ReceivedContext> {
  const name = locate(directory, dockerfile);
  const path = resolveInRoot(directory, name);
  const sizeBytes = lookAt(path)?.size ?? 0;
  if (sizeBytes === 0) throw new Fault("invalid", `the Dockerfile (${name}) cannot be empty`);
  if (sizeBytes > dockerfileBytesMax) throw tooLarge(name);
  const text = readFileSync(path, "utf8");
  await applyIgnoreFile(directory, signal);
  return { directory, text, name };
}

/** A tar's files into an empty directory, as they are. */
export async function receiveTree(
  tar: AsyncIterable<Uint8Array>,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  await unpackInto(tar, directory, { signal });
}

function tooLarge(name: string): Fault {
  return new Fault("invalid", `the Dockerfile (${name}) is larger than ${dockerfileBytesMax} bytes`);
}

async function onlyDockerfile(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of bytes) {
    length += part.length;
    if (length > dockerfileBytesMax) throw tooLarge(defaultName);
    parts.push(Buffer.from(part));
  }
  const all = Buffer.concat(parts);
  if (length === 0) throw new Fault("invalid", `the Dockerfile (${defaultName}) cannot be empty`);
  try {
    if (!all.includes(0)) return new TextDecoder("utf-8", { fatal: true }).decode(all);
  } catch (cause) {
    throw new Fault("invalid", "the build context is neither a tar archive nor a Dockerfile", { cause });
  }
  throw new Fault("invalid", "the build context is neither a tar archive nor a Dockerfile");
}

/** The name as asked for; `dockerfile` stands in for `Dockerfile`. */
function locate(directory: string, asked: string): string {
  const wanted = asked === "" ? defaultName : asked;
  const names = wanted === defaultName ? [wanted, defaultName.toLowerCase()] : [wanted];
  for (const name of names) {
    const stat = lookAt(resolveInRoot(directory, name));
    if (stat?.isFile()) return name;
    if (stat?.isDirectory()) throw new Fault("invalid", `the Dockerfile (${name}) is a directory`);
  }
  throw new Fault("invalid", `Cannot locate specified Dockerfile: ${wanted}`);
}

const entriesPerBreath = 256;

/** Removes what .dockerignore excludes, itself and the Dockerfile too when they are named. */
async function applyIgnoreFile(directory: string, signal: AbortSignal): Promise<void> {
  const path = resolveInRoot(directory, ".dockerignore");
  if (lookAt(path)?.isFile() !== true) return;
  const patterns = ignoreLines(readFileSync(path, "utf8"));
  if (patterns.length === 0) return;
  const { skips } = ignoreFilter(patterns, ".dockerignore");
  await new Pruner(directory, skips, signal).prune("");
}

class Pruner {
  readonly #directory: string;
  readonly #matcher: (path: string) => boolean;
  readonly #signal: AbortSignal;
  #count = 0;

  constructor(directory: string, matcher: (path: string) => boolean, signal: AbortSignal) {
    this.#directory = directory;
    this.#matcher = matcher;
    this.#signal = signal;
  }

  /** An excluded directory stays when an exception keeps something in it. */
  async prune(prefix: string): Promise<void> {
    for (const entry of readdirSync(`${this.#directory}/${prefix}`, { withFileTypes: true })) {
      if (++this.#count % entriesPerBreath === 0) await new Promise(setImmediate);
      this.#signal.throwIfAborted();
      const path = prefix + entry.name;
      const host = `${this.#directory}/${path}`;
      const excluded = this.#matcher(path);
      if (entry.isDirectory()) {
        await this.prune(`${path}/`);
        if (excluded && readdirSync(host).length === 0) rmdirSync(host);
      } else if (excluded) rmSync(host);
    }
  }
}
