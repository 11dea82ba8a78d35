/** Local files as a tar: a path under the name it goes by, with all below it. */
import { once } from "node:events";
import { createReadStream, type Stats } from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { type Header, type Pack, pack } from "tar-stream";

/** Read at once, and not streamed. */
const smallBytes = 256 << 10;
/** How many of those may be read before the first is sent. */
const smallFilesAhead = 32;
let smallFiles = 0;

/** Names are sorted; the first name of a hard-linked file is the file. Sockets are left out. */
export async function* packLocal(path: string, name: string): AsyncGenerator<Uint8Array> {
  const tar = pack();
  const filled = (async () => {
    await addTree(tar, path, name, new Map());
    tar.finalize();
  })();
  filled.catch((error: Error) => tar.destroy(error));
  try {
    yield* gathered(tar as AsyncIterable<Uint8Array>);
  } finally {
    tar.destroy();
  }
  await filled;
}

/** Headers, contents and paddings together: each part that is sent costs both sides. */
async function* gathered(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of tar) {
    parts.push(part);
    bytes += part.length;
    if (bytes < partBytes) continue;
    yield parts.length === 1 ? part : Buffer.concat(parts);
    [parts, bytes] = [[], 0];
  }
  if (bytes > 0) yield Buffer.concat(parts);
}
const partBytes = 128 << 10;

type Links = Map<string, string>;
type PackHeader = Partial<Header> & Pick<Header, "name">;

async function addTree(tar: Pack, path: string, name: string, links: Links): Promise<void> {
  const found = await lstat(path);
  await addEntry(tar, path, name, found, links);
  if (!found.isDirectory()) return;
  const prefix = name.endsWith("/") ? name : `${name}/`;
  for (const each of (await readdir(path)).sort()) await addTree(tar, join(path, each), prefix + each, links);
}

async function addEntry(tar: Pack, path: string, name: string, found: Stats, links: Links): Promise<void> {
  const shared = headerOf(name, found);
  const inode = `${found.dev} ${found.ino}`;
  const first = found.isDirectory() || found.nlink < 2 ? undefined : links.get(inode);
  if (first !== undefined) {
    tar.entry({ ...shared, type: "link", linkname: first });
    return;
  }
  if (!found.isDirectory() && found.nlink > 1) links.set(inode, name);
  if (found.isDirectory())
    tar.entry({ ...shared, name: name.endsWith("/") ? name : `${name}/`, type: "directory" });
  else if (found.isSymbolicLink()) tar.entry({ ...shared, type: "symlink", linkname: await readlink(path) });
  else if (found.isFile()) await addFile(tar, path, { ...shared, size: found.size });
  else if (found.isFIFO()) tar.entry({ ...shared, type: "fifo" });
  else if (found.isBlockDevice() || found.isCharacterDevice()) {
    const type = found.isBlockDevice() ? "block-device" : "character-device";
    tar.entry({ ...shared, type, ...deviceNumbers(found.rdev) });
  }
}

function headerOf(name: string, found: Stats): PackHeader {
  const seconds = Math.floor(found.mtimeMs / 1000);
  return {
    name,
    mode: found.mode & 0o7777,
    mtime: new Date(seconds * 1000),
    uid: found.uid,
    gid: found.gid,
  };
}

async function addFile(
  tar: Pack,
  path: string,
  header: PackHeader & { readonly size: number },
): Promise<void> {
  if (header.size === 0) {
    tar.entry(header);
    return;
  }
  if (header.size <= smallBytes) {
    const entry = tar.entry(header, await readWhole(path, header.size));
    // Not for every file: waiting costs more than writing.
    if (++smallFiles % smallFilesAhead === 0) await once(entry, "finish");
    return;
  }
  const entry = tar.entry(header);
  const ended = once(entry, "finish");
  createReadStream(path, { end: header.size - 1, highWaterMark: smallBytes })
    .on("error", (error) => entry.destroy(error))
    .pipe(entry);
  await ended;
}

/** As many bytes as were announced, whatever happens to the file meanwhile. */
async function readWhole(path: string, sizeBytes: number): Promise<Buffer> {
  await using file = await open(path, "r");
  const buffer = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; ) {
    const { bytesRead } = await file.read(buffer, at, sizeBytes - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return buffer;
}

/** As `makedev(3)` packs them. */
function deviceNumbers(rdev: number): { devmajor: number; devminor: number } {
  const device = BigInt(rdev);
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn);
  return { devmajor: Number(major), devminor: Number(minor) };
}
