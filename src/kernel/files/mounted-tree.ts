/**
 * A root with other trees in it, as a container sees its own, put together without mounting anything: paths cross from
 * one tree into another and back, and never leave them all. So nothing is left mounted, however the process ends.
 * Owns: descriptors of the root, of every tree it had to look into, and of the directory used last.
 * Promises: what may not be written to is not, also when directories and links are exchanged while a call runs: what is
 * allowed is decided by the directory that was opened, not by its path.
 */

import { Errno } from "#kernel/libc.ts";
import { type BytePath, cleanBytePath, lastName, parentPath, pathText } from "./byte-path.ts";
import * as at from "./files-at.ts";
import { openFlag } from "./files-at.ts";
import { isMissing, Tree } from "./tree.ts";

/** Another tree, or a single file, at a place in the root. */
export interface MountedPart {
  /** Where in the root; links in it are followed. */
  readonly destination: BytePath;
  readonly readOnly: boolean;
  /** A descriptor of the directory or file, asked for once, when a path first leads there; undefined: nothing is there. */
  open(): number | undefined;
}

export interface MountedTreeOptions {
  readonly readOnlyRoot?: boolean;
  /** Parents before what is mounted in them. */
  readonly parts: readonly MountedPart[];
  /** Let go of with the tree. */
  readonly needs?: Disposable | undefined;
  /** Refuses `parent` in trees that are read-only, and at files that are mounted. */
  readonly writing?: boolean;
}

/** As many links as the kernel follows on one path. */
const linksMax = 40;
const [readOnlyError, tooManyLinks, notDirectory, notThere, busy] = [30, 40, 20, 2, 16];
const directoryHandle = openFlag.path | openFlag.directory | openFlag.noFollow;

interface Grown {
  readonly part: MountedPart;
  /** In the table of trees; 0 is the root. */
  readonly tree: number;
  /** What the part opened, once it was asked. */
  opened?: { readonly fd: number; readonly isDirectory: boolean } | "nothing";
}

/** A directory on a way through the trees. */
interface Spot {
  readonly fd: number;
  readonly tree: number;
  readonly name: BytePath;
  /** Belongs to a part, which closes it. */
  readonly lent: boolean;
  /** Which directory of which tree it is, once that was asked. */
  key?: string;
}

/** Where a path ends: a name in a directory, or, with an empty name, the directory itself. */
interface Way {
  readonly chain: Spot[];
  readonly name: BytePath;
}

export class MountedTree extends Tree {
  readonly #top: Spot;
  #options: MountedTreeOptions;
  /** By the directory the place is in, then by name. */
  readonly #places = new Map<string, Map<BytePath, Grown>>();
  readonly #grown: Grown[] = [];
  /** Directories that something is mounted in or below. */
  readonly #holding = new Set<string>();
  #parentPath: BytePath | undefined;
  #parent: Spot | undefined;

  /** Takes over `root`. Makes directories that lead to a part and are not there, where that is allowed. */
  constructor(root: number, o: MountedTreeOptions) {
    super();
    this.#top = { fd: root, tree: 0, name: "" as BytePath, lent: true };
    // Making the way to a part is no change that anybody asked for.
    this.#options = { ...o, writing: false };
    try {
      for (const part of o.parts) this.#place(part);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    this.#options = o;
  }

  #place(part: MountedPart): void {
    let way: Way;
    try {
      way = this.#walk(part.destination, true);
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (this.#options.readOnlyRoot === true) return;
      this.makeDirectories(parentPath(part.destination), 0o755);
      way = this.#walk(part.destination, true);
    }
    try {
      if (way.name === "") return;
      for (const spot of way.chain) this.#holding.add(keyOf(spot));
      const key = keyOf(way.chain.at(-1) ?? this.#top);
      const names = this.#places.get(key) ?? new Map<BytePath, Grown>();
      const grown: Grown = { part, tree: this.#grown.length + 1 };
      this.#grown.push(grown);
      names.set(way.name, grown);
      this.#places.set(key, names);
    } finally {
      leave(way.chain);
    }
  }

  override open(path: BytePath, flags: number, mode = 0): number {
    const way = this.#walk(path, (flags & openFlag.noFollow) === 0);
    try {
      const here = way.chain.at(-1) ?? this.#top;
      if (way.name === "") return at.openAt(here.fd, "." as BytePath, flags & ~openFlag.create, mode);
      const found = this.#at(here, way.name);
      if (found === undefined) return at.openAt(here.fd, way.name, flags | openFlag.noFollow, mode);
      const { fd, isDirectory } = found;
      const bare = flags & ~(openFlag.noFollow | openFlag.create | openFlag.exclusive);
      if (isDirectory) return at.openAt(fd, "." as BytePath, bare);
      if ((flags & openFlag.directory) !== 0) throw new Errno(notDirectory, `open ${pathText(path)}`);
      return at.openAt(-1, at.descriptorPath(fd) as BytePath, bare);
    } finally {
      leave(way.chain);
    }
  }

  override parent(path: BytePath): [directory: number, name: BytePath] {
    const clean = cleanBytePath(path) ?? ("" as BytePath);
    if (clean === "") return [this.#allowed(this.#top).fd, "." as BytePath];
    const [here, name] = [this.#above(parentPath(clean)), lastName(clean)];
    const found = this.#at(here, name);
    if (found === undefined) return [this.#allowed(here).fd, name];
    const { fd, isDirectory, tree } = found;
    if (isDirectory) return [this.#allowed({ fd, tree, name, lent: true }).fd, "." as BytePath];
    if (this.#options.writing === true) throw new Errno(busy, pathText(path));
    return [fd, "" as BytePath];
  }

  /** The directory that `path` leads to, kept until another one is asked for. */
  #above(path: BytePath): Spot {
    if (this.#parent !== undefined && path === this.#parentPath) return this.#parent;
    const spot = this.#next(path) ?? this.#directory(path);
    this.forget();
    this.#parentPath = path;
    this.#parent = spot;
    return spot;
  }

  /** One step from the directory used last, so that a walk costs no more the deeper it is; undefined when it is more. */
  #next(path: BytePath): Spot | undefined {
    const from = this.#parent;
    if (from === undefined || path === "" || parentPath(path) !== this.#parentPath) return undefined;
    const chain = [from];
    try {
      this.#step(chain, lastName(path));
      return chain[1];
    } catch (error) {
      if (error instanceof Errno && (error.code === "ENOTDIR" || error.code === "ELOOP")) return undefined;
      throw error;
    }
  }

  override list(path: BytePath): BytePath[] {
    const here = this.#above(path);
    const fd = at.openAt(here.fd, "." as BytePath, openFlag.read | openFlag.directory);
    try {
      const names = new Set(at.listDescriptor(fd));
      const places = this.#places.size === 0 ? undefined : this.#places.get(keyOf(here));
      for (const name of places?.keys() ?? []) if (this.#at(here, name) !== undefined) names.add(name);
      return [...names].sort();
    } finally {
      at.closeDescriptor(fd);
    }
  }

  /** The whole path with every link followed, as far as there is something; what is not there is taken as it stands. */
  realPath(path: BytePath): BytePath {
    const rest: string[] = [];
    for (let known = path; ; known = parentPath(known)) {
      try {
        const { chain, name } = this.#walk(known, true);
        const names = chain.map((spot) => spot.name).filter((each) => each !== "");
        leave(chain);
        const all = [...names, ...(name === "" ? [] : [name]), ...rest].join("/");
        return cleanBytePath(all) ?? ("" as BytePath);
      } catch (error) {
        if (!isMissing(error) || known === "") throw error;
        rest.unshift(lastName(known));
      }
    }
  }

  /** The part that the directory `path` is in; undefined for the root's own. @throws Errno when it is no directory. */
  partOf(path: BytePath): MountedPart | undefined {
    const here = this.#directory(path);
    try {
      return this.#grown[here.tree - 1]?.part;
    } finally {
      leave([here]);
    }
  }

  /** True when a part is at `path`; a link there is not followed. */
  isPart(path: BytePath): boolean {
    if (this.#grown.length === 0) return false;
    try {
      return this.#at(this.#above(parentPath(path)), lastName(path)) !== undefined;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  /** True when a part is at `path` or below it: as a mount point, it cannot be removed. */
  holdsPart(path: BytePath): boolean {
    if (this.#grown.length === 0) return false;
    const way = this.#walk(path, false);
    try {
      const here = way.chain.at(-1) ?? this.#top;
      if (way.name === "" || this.#at(here, way.name) !== undefined) return true;
      const stat = at.statAt(here.fd, way.name);
      return stat !== undefined && this.#holding.has(`${here.tree} ${stat.device} ${stat.inode}`);
    } finally {
      leave(way.chain);
    }
  }

  override forget(): void {
    if (this.#parent !== undefined) leave([this.#parent]);
    this.#parent = undefined;
    this.#parentPath = undefined;
  }

  override [Symbol.dispose](): void {
    this.forget();
    for (const { opened } of this.#grown) if (typeof opened === "object") at.closeDescriptor(opened.fd);
    this.#options.needs?.[Symbol.dispose]();
    at.closeDescriptor(this.#top.fd);
  }

  /** The spot itself, when it may be used for what this tree was made for. */
  #allowed(spot: Spot): Spot {
    if (this.#options.writing !== true) return spot;
    const readOnly =
      spot.tree === 0 ? this.#options.readOnlyRoot === true : this.#grown[spot.tree - 1]?.part.readOnly;
    if (readOnly === true) throw new Errno(readOnlyError, pathText(spot.name));
    return spot;
  }

  /** What is mounted at a name in a directory. */
  #at(
    directory: Spot,
    name: BytePath,
  ): { readonly fd: number; readonly isDirectory: boolean; readonly tree: number } | undefined {
    if (this.#places.size === 0) return undefined;
    const grown = this.#places.get(keyOf(directory))?.get(name);
    if (grown === undefined) return undefined;
    grown.opened ??= openPart(grown.part);
    return grown.opened === "nothing" ? undefined : { ...grown.opened, tree: grown.tree };
  }

  /** The directory that `path` leads to, links followed. The caller leaves it. */
  #directory(path: BytePath): Spot {
    const { chain, name } = this.#walk(path, true);
    try {
      if (name !== "") this.#step(chain, name);
      return chain.pop() ?? this.#top;
    } finally {
      leave(chain);
    }
  }

  /** Enters a directory, or what is mounted there. */
  #step(chain: Spot[], name: BytePath): void {
    const here = chain.at(-1) ?? this.#top;
    const found = this.#at(here, name);
    if (found === undefined) {
      chain.push({ fd: at.openAt(here.fd, name, directoryHandle), tree: here.tree, name, lent: false });
      return;
    }
    if (!found.isDirectory) throw new Errno(notDirectory, `open ${pathText(name)}`);
    chain.push({ fd: found.fd, tree: found.tree, name, lent: true });
  }

  /** All but the last part; that too, as long as it is a link and `follow` says so. The caller leaves the chain. */
  #walk(path: BytePath, follow: boolean): Way {
    const chain: Spot[] = [];
    try {
      const pending = path.split("/").reverse();
      let links = linksMax;
      for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
        if (part === "" || part === ".") continue;
        if (part === "..") {
          const left = chain.pop();
          if (left !== undefined) leave([left]);
          continue;
        }
        const name = part as BytePath;
        const last = pending.every((rest) => rest === "" || rest === ".");
        if (last && !follow) return { chain, name };
        const target = this.#target(chain, name, last);
        if (target === undefined) {
          if (last) return { chain, name };
          continue;
        }
        if (--links < 0) throw new Errno(tooManyLinks, `open ${pathText(path)}`);
        pending.push(...target.split("/").reverse());
        if (target.startsWith("/")) leave(chain.splice(0));
      }
      return { chain, name: "" as BytePath };
    } catch (error) {
      leave(chain);
      throw error;
    }
  }

  /** What the link `name` says; undefined when it is none, and then, unless it is the last part, it was entered. */
  #target(chain: Spot[], name: BytePath, last: boolean): BytePath | undefined {
    const here = chain.at(-1) ?? this.#top;
    if (this.#at(here, name) !== undefined) {
      if (!last) this.#step(chain, name);
      return undefined;
    }
    if (!last)
      try {
        this.#step(chain, name);
        return undefined;
      } catch (error) {
        if (!(error instanceof Errno) || (error.code !== "ENOTDIR" && error.code !== "ELOOP")) throw error;
      }
    const stat = at.statAt(here.fd, name);
    if (stat !== undefined && (stat.mode & at.fileKind.mask) === at.fileKind.symlink)
      return at.readLinkAt(here.fd, name);
    if (last) return undefined;
    throw new Errno(stat === undefined ? notThere : notDirectory, `open ${pathText(name)}`);
  }
}

function keyOf(spot: Spot): string {
  if (spot.key === undefined) {
    const { device, inode } = at.statDescriptor(spot.fd);
    spot.key = `${spot.tree} ${device} ${inode}`;
  }
  return spot.key;
}

function openPart(part: MountedPart): NonNullable<Grown["opened"]> {
  const fd = part.open();
  if (fd === undefined) return "nothing";
  return { fd, isDirectory: (at.statDescriptor(fd).mode & at.fileKind.mask) === at.fileKind.directory };
}

function leave(chain: readonly Spot[]): void {
  for (const { fd, lent } of chain) if (!lent) at.closeDescriptor(fd);
}
