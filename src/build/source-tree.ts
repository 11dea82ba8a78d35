/**
 * The files a COPY or ADD may read: a received context, or the root of a stage or image.
 * Owns: finding sources by path or pattern, and the hash that stands for what they hold.
 * Promises: never reads outside its root; equal names, modes, owners and contents hash equally, whatever the times.
 * Never: changes anything. The tree must not change while it is in use.
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { basename } from "node:path";
import { Fault } from "#spec/fault.ts";
import { cleanPath, hasWildcards, pathMatcher } from "./go-text.ts";
import { climbsOut, lookAt, resolveInRoot } from "./rooted-path.ts";
import { suggestion } from "./suggest.ts";

/** One thing to copy. */
export interface Source {
  /** Host path, links resolved. */
  readonly path: string;
  /** The last part of the name as the Dockerfile or a pattern gave it: what a file is called in a directory. */
  readonly name: string;
  readonly directory: boolean;
  /** `file:<hex>` or `dir:<hex>`. */
  readonly hash: string;
  /** From a download: never unpacked. */
  readonly fetched?: boolean;
}

/** Read whole up to this size, in parts above. */
const wholeFileBytesMax = 1 << 20;

/** Files hashed between two breaths for everything else the engine does. */
const filesPerBreath = 64;

export class SourceTree {
  readonly #root: string;
  /** `context`: files belong to root whatever the tar said. `image`: owners count. */
  readonly #kind: "context" | "image";
  readonly #hashes = new Map<string, Promise<string>>();

  constructor(root: string, kind: "context" | "image") {
    this.#root = root;
    this.#kind = kind;
  }

  /**
   * What `pattern` means: one path, or every match of Go's `filepath.Match`, in the order of the names.
   * @throws Fault `not-found` in Docker's words when a path is not there; `invalid` when it leaves the context.
   */
  async find(pattern: string, o: { readonly signal: AbortSignal }): Promise<Source[]> {
    const path = pattern.replace(/^\//, "").replace(/^\.\//, "");
    if (this.#kind === "context" && climbsOut(path))
      throw new Fault("invalid", `forbidden path outside the build context: ${pattern} ()`);
    if (!hasWildcards(path)) return [await this.#source(path, o)];
    const matches = pathMatcher(path);
    const sources: Source[] = [];
    for (const found of this.#walk(this.#root, ""))
      if (matches(found)) sources.push(await this.#source(found, o));
    return sources;
  }

  async #source(path: string, o: { readonly signal: AbortSignal }): Promise<Source> {
    const host = resolveInRoot(this.#root, path);
    const stat = lookAt(host);
    if (stat === undefined) throw new Fault("not-found", this.#missing(path));
    const name = basename(cleanPath(`/${path}`));
    const directory = stat.isDirectory();
    const key = `${directory ? "" : name}\0${host}`;
    const hash =
      this.#hashes.get(key) ?? (directory ? this.#hashDirectory(host, o) : this.#hashOne(host, name, stat));
    this.#hashes.set(key, hash);
    return { path: host, name, directory, hash: `${directory ? "dir" : "file"}:${await hash}` };
  }

  #missing(path: string): string {
    const shown = cleanPath(path);
    const slash = shown.lastIndexOf("/");
    const parent = resolveInRoot(this.#root, shown.slice(0, Math.max(slash, 0)));
    const siblings = lookAt(parent)?.isDirectory() ? readdirSync(parent) : [];
    const near = suggestion(shown.slice(slash + 1), siblings);
    const stat = `stat ${shown}: file does not exist${near}`;
    return this.#kind === "context"
      ? `file not found in build context or excluded by .dockerignore: ${stat}`
      : stat;
  }

  /** Paths below `host`, relative to the root, parents first, names in byte order. */
  *#walk(host: string, prefix: string): Generator<string> {
    const entries = readdirSync(host, { withFileTypes: true });
    entries.sort((left, right) => Buffer.compare(Buffer.from(left.name), Buffer.from(right.name)));
    for (const entry of entries) {
      const path = prefix + entry.name;
      yield path;
      if (entry.isDirectory()) yield* this.#walk(`${host}/${entry.name}`, `${path}/`);
    }
  }

  async #hashDirectory(host: string, { signal }: { readonly signal: AbortSignal }): Promise<string> {
    const digest = createHash("sha256");
    let count = 0;
    for (const path of this.#walk(host, "")) {
      if (++count % filesPerBreath === 0) await new Promise(setImmediate);
      signal.throwIfAborted();
      const stat = lookAt(`${host}/${path}`);
      if (stat !== undefined) digest.update(await this.#hashOne(`${host}/${path}`, path, stat));
    }
    return digest.digest("hex");
  }

  async #hashOne(host: string, name: string, stat: Stats): Promise<string> {
    const digest = createHash("sha256");
    const owner = this.#kind === "image" ? `${stat.uid}:${stat.gid}` : "0:0";
    digest.update(JSON.stringify([name, stat.mode, owner, stat.isFile() ? stat.size : 0, stat.rdev]));
    if (stat.isSymbolicLink()) digest.update(readlinkSync(host));
    else if (stat.isFile()) await hashContent(digest, host, stat.size);
    return digest.digest("hex");
  }
}

async function hashContent(digest: Hash, path: string, sizeBytes: number): Promise<void> {
  if (sizeBytes <= wholeFileBytesMax) {
    digest.update(readFileSync(path));
    return;
  }
  for await (const part of createReadStream(path, { highWaterMark: wholeFileBytesMax }))
    digest.update(part as Buffer);
}

/** One hash for all sources of an instruction, as Docker words it. */
export function combineHashes(sources: readonly { readonly hash: string }[]): string {
  const [only, ...more] = sources;
  if (only !== undefined && more.length === 0) return only.hash;
  const joined = sources.map(({ hash }) => hash).join(",");
  return `multi:${createHash("sha256").update(joined).digest("hex")}`;
}
