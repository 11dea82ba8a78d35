/** Images as their archives tell them: configuration, history, and what the layers come to, in words. */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { extract, type Header } from "tar-stream";
import type { ImageConfig } from "#spec/image.ts";

export interface ImageSeen {
  readonly config: ImageConfig;
  /** Below the last layer, by path. */
  readonly files: ReadonlyMap<string, FileSeen>;
}

export interface FileSeen {
  /** `-644 text`, `d755`, `l target`: see `Row.files`. */
  readonly words: string;
  readonly mtime: number;
}

interface Entry {
  readonly header: Header;
  readonly bytes: Buffer;
}

/** Of what `GET /images/get` sends. By name. */
export async function readImages(archive: AsyncIterable<Uint8Array>): Promise<Map<string, ImageSeen>> {
  const blobs = new Map((await entriesOf(archive)).map(({ header, bytes }) => [header.name, bytes]));
  const manifest = JSON.parse(String(blobs.get("manifest.json"))) as {
    Config: string;
    Layers: string[];
    RepoTags: string[] | null;
  }[];
  const layers = new Map<string, Promise<Entry[]>>();
  const layer = (name: string): Promise<Entry[]> => {
    const read = layers.get(name) ?? entriesOf([plain(blobs.get(name) ?? Buffer.alloc(0))]);
    layers.set(name, read);
    return read;
  };
  const images = new Map<string, ImageSeen>();
  for (const { Config, Layers, RepoTags } of manifest) {
    const files = new Map<string, Entry>();
    for (const name of Layers) for (const entry of await layer(name)) apply(files, entry);
    const config = JSON.parse(String(blobs.get(Config))) as ImageConfig;
    for (const tag of RepoTags ?? []) images.set(tag, { config, files: inWords(files) });
  }
  return images;
}

function plain(bytes: Buffer): Buffer {
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
}

async function entriesOf(archive: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Entry[]> {
  const reader = extract();
  const entries: Entry[] = [];
  const fed = (async () => {
    const parts: Buffer[] = [];
    // What comes is lent until the next one is asked for.
    for await (const part of archive) parts.push(Buffer.from(part));
    reader.end(Buffer.concat(parts));
  })();
  for await (const stream of reader) {
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(Buffer.from(part as Uint8Array));
    entries.push({ header: stream.header, bytes: Buffer.concat(parts) });
  }
  await fed;
  return entries;
}

const whiteout = ".wh.";

function apply(files: Map<string, Entry>, entry: Entry): void {
  const path = pathOf(entry.header.name);
  const slash = path.replace(/\/$/, "").lastIndexOf("/") + 1;
  const [directory, name] = [path.slice(0, slash), path.slice(slash)];
  const removeBelow = (above: string, itself: boolean): void => {
    for (const known of files.keys())
      if (known.startsWith(above) && (itself || known !== above)) files.delete(known);
  };
  if (name === `${whiteout}${whiteout}.opq`) removeBelow(directory, false);
  else if (name.startsWith(whiteout)) {
    files.delete(directory + name.slice(whiteout.length));
    removeBelow(`${directory}${name.slice(whiteout.length)}/`, true);
  } else if (path !== "") {
    if (path.endsWith("/")) files.delete(path.slice(0, -1));
    else removeBelow(`${path}/`, true);
    files.set(path, entry);
  }
}

function pathOf(name: string): string {
  return name.replace(/^(?:\.?\/)+/, "");
}

function inWords(files: ReadonlyMap<string, Entry>): Map<string, FileSeen> {
  // Of names that are one file, the first in the alphabet stands for it.
  const content = (path: string): string => {
    const { header } = files.get(path) ?? {};
    return header?.type === "link" ? content(pathOf(header.linkname ?? "")) : path;
  };
  const twins = new Map<string, string[]>();
  for (const path of files.keys()) {
    const holder = content(path);
    twins.set(holder, [...(twins.get(holder) ?? []), path].sort());
  }
  const words = new Map<string, FileSeen>();
  for (const path of [...files.keys()].sort()) {
    const holder = content(path);
    const [first = path] = twins.get(holder) ?? [];
    const entry = files.get(holder);
    if (entry === undefined) throw new Error(`${path} is a link to ${holder}, which is not there`);
    const mtime = (entry.header.mtime?.getTime() ?? 0) / 1000;
    words.set(path, { words: first === path ? entryWords(entry) : `= ${first}`, mtime });
  }
  return words;
}

const letters: Readonly<Record<string, string>> = {
  directory: "d",
  symlink: "l",
  fifo: "p",
  "character-device": "c",
  "block-device": "b",
};
/** Longer ones are told by their hash. */
const textMax = 400;

function entryWords({ header, bytes }: Entry): string {
  const { type, mode = 0, uid = 0, gid = 0, linkname, pax } = header;
  const letter = letters[type ?? ""] ?? "-";
  const owner = uid === 0 && gid === 0 ? [] : [`${uid}:${gid}`];
  const attributes = Object.entries(pax ?? {}).flatMap(([key, value]) =>
    key.startsWith("SCHILY.xattr.") ? [`${key.slice("SCHILY.xattr.".length)}=${value}`] : [],
  );
  const more = attributes.length === 0 ? [] : [`{${attributes.sort().join(" ")}}`];
  if (letter === "l") return ["l", ...owner, linkname].join(" ");
  const head = [`${letter}${(mode & 0o7777).toString(8)}`, ...owner, ...more];
  return letter === "-" ? `${head.join(" ")} ${textOf(bytes)}` : head.join(" ");
}

function textOf(bytes: Buffer): string {
  const text = bytes.toString();
  if (bytes.length <= textMax && Buffer.from(text).equals(bytes)) return text;
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
