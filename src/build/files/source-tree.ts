/**
 * The files a COPY or ADD may read: a received context, or the root of a stage or image.
 * Owns: finding sources by path or pattern, and the hash that stands for what they hold.
 * Promises: never reads outside its root; equal names, modes, owners, attributes and contents hash equally, whatever the times.
 * Never: changes anything. The tree must not change while it is in use.
 */
import { createHash, hash as hashOnce } from "node:crypto";
import { createReadStream, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { basename } from "node:path";
import { suggestion } from "#build/language/suggest.ts";
import { Fault } from "#spec/fault.ts";
import { cleanPath, deepMatcher, hasWildcards, pathMatcher } from "#spec/go-text.ts";
import { fileAttributes } from "#store/trees/file-attributes.ts";
import { compareBytes } from "./byte-order.ts";
import { eitherFilter, filterBelow, ignoreFilter, type PathFilter } from "./ignore-patterns.ts";
import { climbsOut, lookAt, resolveInRoot } from "./rooted-path.ts";

/** One thing to copy. */
export interface Source {
  /** Host path, links resolved. */
  readonly path: string;
  /** The last part of the name as the Dockerfile or a pattern gave it: what a file is called in a directory. */
  readonly name: string;
  readonly directory: boolean;
  /** `file:<hex>` or `dir:<hex>`. */
  readonly hash: string;
  /** From a download: not unpacked unless that is asked for. */
  readonly fetched?: boolean;
  /** From the Dockerfile itself: never unpacked. */
  readonly inline?: boolean;
  /** For --parents: the directories to make below the destination, and the root they are in. */
  readonly below?: string;
  readonly treeRoot?: string;
  /** Where it is in its tree, no slash in front; empty for the whole tree. */
  readonly relative?: string;
  /** What of a directory is left out. */
  readonly filter?: PathFilter | undefined;
}

export interface TreeEntry {
  /** From where the walk began. */
  readonly path: string;
  readonly directory: boolean;
}

/**
 * What is below `host` and not left out: parents first, names in byte order. A directory that is left out shows only when
 * something in it does. `enters`, asked after a directory was shown, says whether what is in it is.
 */
export function* walkTree(
  host: string,
  filter: PathFilter | undefined,
  prefix = "",
  enters: (path: string) => boolean = () => true,
): Generator<TreeEntry, void> {
  const entries = readdirSync(`${host}/${prefix}`, { withFileTypes: true });
  entries.sort((left, right) => compareBytes(left.name, right.name));
  for (const entry of entries) {
    const path = prefix + entry.name;
    const here = { path, directory: entry.isDirectory() };
    const skipped = filter?.skips(path) === true;
    if (!here.directory) {
      if (!skipped) yield here;
    } else if (!skipped) {
      yield here;
      if (enters(path)) yield* walkTree(host, filter, `${path}/`, enters);
    } else if (filter?.exceptions === true) {
      if (walkTree(host, filter, `${path}/`).next().done === true) continue;
      yield here;
      if (enters(path)) yield* walkTree(host, filter, `${path}/`, enters);
    }
  }
}

/** @returns Names in a directory, as the source has it. */
type NamesElsewhere = (directory: string) => Promise<string[]>;

/**
 * SHA-256 of a regular file's content in hex, where it is known without reading, and that it has no extended attributes.
 * `path`: in the tree, without a slash in front.
 */
export type KnownContent = (stat: Stats, path: string) => string | undefined;

export interface SourceTreeOptions {
  /** Where not all that there is was brought. */
  readonly elsewhere?: NamesElsewhere | undefined;
  /** What of the tree counts as not there. */
  readonly hidden?: PathFilter | undefined;
  readonly contentHash?: KnownContent | undefined;
}

export interface FindOptions {
  /** Patterns of what is left out of what is found. */
  readonly exclude?: readonly string[] | undefined;
  /** `**` stands for directories of any number. */
  readonly anyDepth?: boolean;
  readonly signal: AbortSignal;
}

/** Read whole up to this size, in parts above. */
const wholeFileBytesMax = 1 << 20;

/** Files of one directory whose hashes are remembered. */
const listedFilesMax = 20_000;
/** Hexadecimal digits of each: enough to tell that a file changed. */
const listedDigits = 16;

/** Files hashed between two breaths for everything else the engine does. */
const filesPerBreath = 64;

export class SourceTree {
  readonly #root: string;
  /** `context`: files belong to root whatever the tar said. `image`: owners count. */
  readonly #kind: "context" | "image";
  readonly #hashes = new Map<string, Promise<string>>();
  /** Of directories, by their hashes. */
  readonly #listings = new Map<string, readonly (readonly [path: string, hash: string])[]>();
  readonly #hidden: PathFilter | undefined;
  readonly #contentHash: KnownContent;
  readonly #elsewhere: NamesElsewhere;

  constructor(root: string, kind: "context" | "image", o: SourceTreeOptions = {}) {
    this.#root = root;
    this.#kind = kind;
    this.#hidden = o.hidden;
    this.#contentHash = o.contentHash ?? (() => undefined);
    this.#elsewhere = o.elsewhere ?? (async () => []);
  }

  /** Names in the directory of a path that is not there, whether or not they were brought. */
  async namesBeside(path: string): Promise<string[]> {
    const directory = cleanPath(`/${path}`).slice(1).split("/").slice(0, -1).join("/");
    const parent = resolveInRoot(this.#root, directory);
    const here = lookAt(parent)?.isDirectory() === true ? readdirSync(parent) : [];
    return [...here, ...(await this.#elsewhere(directory))];
  }

  get root(): string {
    return this.#root;
  }

  /** Files of a context are the builder's own copies, which it replaces and never changes. */
  get isOwn(): boolean {
    return this.#kind === "context";
  }

  /**
   * What `pattern` means: one path, or every match of Go's `filepath.Match`, in the order of the names.
   * @throws Fault `not-found` in Docker's words when a path is not there; `invalid` when it leaves the context.
   */
  async find(pattern: string, o: FindOptions): Promise<Source[]> {
    const path = pattern.replace(/^\//, "").replace(/^\.\//, "");
    if (this.#kind === "context" && climbsOut(path))
      throw new Fault("invalid", `forbidden path outside the build context: ${pattern} ()`);
    if (!hasWildcards(path)) return [await this.#source(path, o)];
    const matches = o.anyDepth === true ? deepMatcher(path) : pathMatcher(path);
    const sources: Source[] = [];
    for (const { path: found } of walkTree(this.#root, this.#hidden))
      if (matches(found)) sources.push(await this.#source(found, o));
    return sources;
  }

  async #source(path: string, o: FindOptions): Promise<Source> {
    const host = resolveInRoot(this.#root, path);
    const stat = this.#shown(host) ? lookAt(host) : undefined;
    if (stat === undefined) throw new Fault("not-found", this.#missing(path));
    const name = basename(cleanPath(`/${path}`));
    const directory = stat.isDirectory();
    const relative = host.slice(this.#root.length + 1);
    const excluded = o.exclude === undefined ? undefined : ignoreFilter(o.exclude, "--exclude");
    const filter = eitherFilter(filterBelow(this.#hidden, relative), excluded);
    const key = `${directory ? "" : name}\0${host}\0${o.exclude?.join("\0") ?? ""}`;
    const hash =
      this.#hashes.get(key) ??
      (directory
        ? this.#hashDirectory(host, filter, o.signal)
        : Promise.resolve(this.#hashOne(host, name, stat)));
    this.#hashes.set(key, hash);
    const shown = cleanPath(`/${path}`).slice(1);
    const described = { path: host, name, directory, relative: shown, filter };
    return { ...described, hash: `${directory ? "dir" : "file"}:${await hash}` };
  }

  /** Of a source found here, the hash of each of its files by its path; of itself when there are too many. */
  filesOf({ relative = "", name, hash }: Source): Record<string, string> {
    const listing = this.#listings.get(hash.replace(/^dir:/, ""));
    if (listing === undefined) return { [relative || name]: hash };
    const above = relative === "" ? "" : `${relative}/`;
    return Object.fromEntries(listing.map(([path, digest]) => [`${above}${path}`, digest]));
  }

  /** Not left out; a directory that is, when something in it is not. */
  #shown(host: string): boolean {
    const hidden = this.#hidden;
    const path = host.slice(this.#root.length + 1);
    if (hidden === undefined || path === "" || !hidden.skips(path)) return true;
    if (!hidden.exceptions || lookAt(host)?.isDirectory() !== true) return false;
    return walkTree(host, filterBelow(hidden, path)).next().done !== true;
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

  async #hashDirectory(host: string, filter: PathFilter | undefined, signal: AbortSignal): Promise<string> {
    const digest = createHash("sha256");
    const listing: [path: string, hash: string][] = [];
    let count = 0;
    for (const { path } of walkTree(host, filter)) {
      if (++count % filesPerBreath === 0) await new Promise(setImmediate);
      signal.throwIfAborted();
      const stat = lookAt(`${host}/${path}`);
      if (stat === undefined) continue;
      const hashing = this.#hashOne(`${host}/${path}`, path, stat);
      const hash = typeof hashing === "string" ? hashing : await hashing;
      digest.update(hash);
      if (listing.length < listedFilesMax && !stat.isDirectory())
        listing.push([path, hash.slice(0, listedDigits)]);
    }
    const whole = digest.digest("hex");
    if (listing.length < listedFilesMax) this.#listings.set(whole, listing);
    return whole;
  }

  #hashOne(host: string, name: string, stat: Stats): string | Promise<string> {
    const owner = this.#kind === "image" ? `${stat.uid}:${stat.gid}` : "0:0";
    const about = JSON.stringify([name, stat.mode, owner, stat.isFile() ? stat.size : 0, stat.rdev]);
    if (stat.isSymbolicLink()) return sha256(about + readlinkSync(host));
    const known = stat.isFile() ? this.#contentHash(stat, host.slice(this.#root.length + 1)) : undefined;
    if (known !== undefined) return sha256(stat.size === 0 ? about : about + known);
    return this.#readOne(host, about, stat);
  }

  async #readOne(host: string, about: string, stat: Stats): Promise<string> {
    const digest = createHash("sha256").update(about);
    for (const [attribute, value] of fileAttributes(host))
      digest.update(`${attribute}=${value.length}:`).update(value);
    if (stat.isFile() && stat.size > 0) digest.update(await hashContent(host, stat.size));
    return digest.digest("hex");
  }
}

function sha256(text: string): string {
  return hashOnce("sha256", text, "hex");
}

async function hashContent(path: string, sizeBytes: number): Promise<string> {
  const digest = createHash("sha256");
  if (sizeBytes <= wholeFileBytesMax) return digest.update(readFileSync(path)).digest("hex");
  for await (const part of createReadStream(path, { highWaterMark: wholeFileBytesMax }))
    digest.update(part as Buffer);
  return digest.digest("hex");
}

/** One hash for all sources of an instruction, as Docker words it. */
export function combineHashes(sources: readonly { readonly hash: string }[]): string {
  const [only, ...more] = sources;
  if (only !== undefined && more.length === 0) return only.hash;
  const joined = sources.map(({ hash }) => hash).join(",");
  return `multi:${createHash("sha256").update(joined).digest("hex")}`;
}
