/** A context as one file, as docker's `context export` writes it and its `import` reads: a tar, or a zip. */
import { Readable } from "node:stream";
import { extract, pack } from "tar-stream";
import { Fault } from "#spec/fault.ts";
import type { WholeContext } from "./context-endpoint.ts";
import { dockerEndpoint, parseMeta } from "./contexts.ts";
import { zipFiles } from "./zip-files.ts";

/** Of an archive, and of what is in it. */
const bytesMax = 10 << 20;
const epoch = new Date(0);
const tlsPrefix = `tls/${dockerEndpoint}/`;

/** The tar's bytes. */
export function packContext({ meta, tls }: WholeContext): AsyncIterable<Uint8Array> {
  const tar = pack();
  const directory = (name: string) => tar.entry({ name, type: "directory", mode: 0o700, mtime: epoch });
  tar.entry({ name: "meta.json", mode: 0o644, mtime: epoch }, JSON.stringify(meta));
  directory("tls");
  if (tls.size > 0) directory(tlsPrefix);
  for (const [name, bytes] of tls) tar.entry({ name: tlsPrefix + name, mode: 0o600, mtime: epoch }, bytes);
  tar.finalize();
  return tar as AsyncIterable<Uint8Array>;
}

/** @throws Fault `invalid` for what is no context, or has more in it than one has. */
export async function unpackContext(archive: AsyncIterable<Uint8Array>): Promise<WholeContext> {
  const bytes = await bounded(archive);
  const files = bytes.subarray(0, 4).equals(zipMagic) ? zipFiles(bytes, bytesMax) : await tarFiles(bytes);
  let meta: WholeContext["meta"] | undefined;
  const tls = new Map<string, Buffer>();
  for (const [name, content] of files) {
    const key = name.startsWith(tlsPrefix) ? name.slice(tlsPrefix.length) : undefined;
    if (name === "meta.json") meta = parseMeta(content.toString("utf8"), name);
    else if (key !== undefined && /^[^/]+$/.test(key) && key !== "..") tls.set(key, content);
    else throw new Fault("invalid", `${name}: unexpected context file`);
  }
  if (meta === undefined) throw new Fault("invalid", "invalid context: no metadata found");
  return { meta, tls };
}

const zipMagic = Buffer.from("PK\x03\x04", "latin1");

async function bounded(archive: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let total = 0;
  for await (const part of archive) {
    total += part.length;
    if (total > bytesMax)
      throw new Fault("invalid", `the archive is larger than ${bytesMax} bytes: it is no context`);
    // Parts are lent.
    parts.push(Buffer.from(part));
  }
  return Buffer.concat(parts);
}

/** docker leaves out the zeros behind the last file, and the blocks that end an archive. */
async function tarFiles(bytes: Buffer): Promise<[string, Buffer][]> {
  const padding = paddingOf(bytes.length);
  const parser = extract();
  const files: [string, Buffer][] = [];
  Readable.from([bytes, Buffer.alloc(padding + 2 * blockBytes)]).pipe(parser);
  let last = 0;
  try {
    for await (const entry of parser) {
      const parts: Buffer[] = [];
      for await (const part of entry) parts.push(part as Buffer);
      const content = Buffer.concat(parts);
      last = content.length;
      if (entry.header.type === "file") files.push([entry.header.name, content]);
    }
  } catch (cause) {
    throw new Fault("invalid", `the archive is no tar: ${Fault.from(cause).message}`, { cause });
  }
  if (padding > paddingOf(last)) throw new Fault("invalid", "the archive is cut off");
  return files;
}

const blockBytes = 512;
const paddingOf = (bytes: number): number => (blockBytes - (bytes % blockBytes)) % blockBytes;
