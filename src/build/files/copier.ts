/**
 * One entry after another, as COPY and ADD take them over: kinds, names of one file, owners, modes, extended attributes, times.
 * Promises: a file replaces whatever has its name, directories merge. Never: follows or opens what it replaces.
 */
import {
  chmodSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readlinkSync,
  rmSync,
  type Stats,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { Fault } from "#spec/fault.ts";
import { copyFileAttributes } from "#store/trees/file-attributes.ts";
import type { PathFilter } from "./ignore-patterns.ts";
import type { ModeChange, Owner } from "./ownership.ts";
import { lookAt } from "./rooted-path.ts";
import { type TreeEntry, walkTree } from "./source-tree.ts";

export type Sharing = "none" | "unshared" | "all";

export interface CopyOptions {
  /** Of everything copied; absent: each keeps its own. */
  readonly owner?: Owner | undefined;
  /** Permission bits of everything copied but links, from those it had; absent: each keeps its own. */
  readonly mode?: ModeChange | undefined;
  /**
   * The sources are files that nobody ever changes in place, nor will: where owner and mode fit, a file may become another
   * name of one. `unshared`: of one that nobody shares yet. @default none
   */
  readonly shares?: Sharing;
  /** Inodes of files that the layer has by names from elsewhere: of those it does not get another name. */
  readonly shared?: ReadonlySet<number>;
  readonly signal: AbortSignal;
}

/** `path` of the directory `from`, and all below it, to the same path of `to`. */
export interface AddedTree {
  readonly from: string;
  readonly to: string;
  readonly path: string;
  readonly directory: boolean;
  readonly filter: PathFilter | undefined;
}

/** Takes what has no counterpart where it goes. */
export interface AdditionTaker {
  tree(added: AddedTree): void;
  file(from: string, to: string): void;
  /** What was added in it before goes. */
  displaced(directory: string): void;
  /** Of a directory that is in both. */
  times(from: string, to: string): void;
}

/** Copied without a breath up to this size. */
const quickFileBytesMax = 1 << 20;
const filesPerBreath = 64;
const directoryMode = 0o755;
const permissionBits = 0o7777;

/** The times of `stat` for what is at `to`. */
export function copyTimes(stat: Stats, to: string): void {
  utimesSync(to, stat.atimeMs / 1000, stat.mtimeMs / 1000);
}

export class Copier {
  readonly #o: CopyOptions;
  readonly #additions: AdditionTaker | undefined;
  /** Files with several names: device and inode → where the first name went. */
  readonly #linked = new Map<string, string>();
  readonly #names: number[] = [];
  #shares: Sharing;
  #count = 0;

  /** What `additions` takes is not copied. */
  constructor(o: CopyOptions, additions?: AdditionTaker) {
    this.#o = o;
    this.#shares = o.shares ?? "none";
    this.#additions = additions;
  }

  /** Inodes of the files that got another name, where `shared` was given. */
  get linked(): readonly number[] {
    return this.#names;
  }

  /** The contents of a directory, but for what is left out, into one that is there. `prefix`: of those below it alone. */
  async directory(from: string, to: string, filter: PathFilter | undefined, prefix = ""): Promise<void> {
    const directories: TreeEntry[] = [];
    let left: string | undefined;
    for (const entry of walkTree(from, filter, prefix, (path) => path !== left)) {
      const target = `${to}/${entry.path}`;
      if (this.#additions !== undefined && lookAt(target) === undefined) {
        this.#additions.tree({ from, to, filter, ...entry });
        left = entry.path;
        continue;
      }
      if (entry.directory) directories.push(entry);
      const source = `${from}/${entry.path}`;
      if (!this.#becameName(source, target)) await this.entry(source, target);
      else if (++this.#count % filesPerBreath === 0) await this.#breathe();
    }
    // What was put into them changed their times.
    for (const { path } of directories) {
      this.times(`${from}/${path}`, `${to}/${path}`);
      this.#additions?.times(`${from}/${path}`, `${to}/${path}`);
    }
  }

  times(from: string, to: string): void {
    const stat = lookAt(from);
    if (stat !== undefined) copyTimes(stat, to);
  }

  /** What most entries come to: one more name of a file, where nothing is yet. The kernel says when there is something. */
  #becameName(from: string, to: string): boolean {
    if (this.#shares === "none" || this.#additions !== undefined) return false;
    const stat = lookAt(from);
    return stat?.isFile() === true && this.#share(from, to, stat);
  }

  async #breathe(): Promise<void> {
    await new Promise(setImmediate);
    this.#o.signal.throwIfAborted();
  }

  async entry(from: string, to: string): Promise<void> {
    this.#o.signal.throwIfAborted();
    if (++this.#count % filesPerBreath === 0) await this.#breathe();
    const stat = lookAt(from);
    if (stat === undefined) throw new Fault("internal", `${from} disappeared while it was copied`);
    const there = lookAt(to);
    if (there === undefined && this.#additions !== undefined && !stat.isDirectory())
      return this.#additions.file(from, to);
    if (there !== undefined && !(there.isDirectory() && stat.isDirectory())) {
      rmSync(to, { recursive: true, force: true });
      if (there.isDirectory()) this.#additions?.displaced(to);
    }
    if (stat.isDirectory()) {
      if (there?.isDirectory() !== true) mkdirSync(to, directoryMode);
    } else if (stat.isSymbolicLink()) symlinkSync(readlinkSync(from), to);
    else if (!stat.isFile()) {
      // Sockets belong to a program, not to a file system; Docker leaves them out too.
      if (stat.isSocket()) return;
      throw new Fault(
        "unsupported",
        `${from} is a device or a pipe: COPY and ADD copy files, directories and links`,
      );
    } else if (await this.#file(from, to, stat)) return;
    this.#attributes(from, to, stat);
  }

  /** @returns true when it became another name of a file that is already there, attributes and all. */
  async #file(from: string, to: string, stat: Stats): Promise<boolean> {
    if (this.#share(from, to, stat)) return true;
    const key = `${stat.dev}:${stat.ino}`;
    const first = stat.nlink > 1 ? this.#linked.get(key) : undefined;
    if (first !== undefined) {
      linkSync(first, to);
      return true;
    }
    if (stat.nlink > 1) this.#linked.set(key, to);
    if (stat.size <= quickFileBytesMax) copyFileSync(from, to, constants.COPYFILE_EXCL);
    else await copyFile(from, to, constants.COPYFILE_EXCL);
    return false;
  }

  /** False also when something has the name. */
  #share(from: string, to: string, stat: Stats): boolean {
    const { owner, shared } = this.#o;
    if (this.#shares === "none" || (this.#shares === "unshared" && stat.nlink > 1)) return false;
    if (shared?.has(stat.ino) === true) return false;
    const { uid, gid } = owner ?? stat;
    if (uid !== stat.uid || gid !== stat.gid || this.#mode(stat) !== (stat.mode & permissionBits))
      return false;
    try {
      linkSync(from, to);
      if (shared !== undefined) this.#names.push(stat.ino);
      return true;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "EEXIST" || code === "EMLINK") return false;
      // Another disk.
      if (code !== "EXDEV" && code !== "EPERM") throw error;
      this.#shares = "none";
      return false;
    }
  }

  #mode(stat: Stats): number {
    const bits = stat.mode & permissionBits;
    return this.#o.mode?.(bits, stat.isDirectory()) ?? bits;
  }

  #attributes(from: string, to: string, stat: Stats): void {
    const owner = this.#o.owner ?? stat;
    lchownSync(to, owner.uid, owner.gid);
    if (stat.isSymbolicLink()) {
      lutimesSync(to, stat.atimeMs / 1000, stat.mtimeMs / 1000);
      return;
    }
    // After the owner: a change of owner takes setuid bits and capabilities away.
    copyFileAttributes(from, to);
    chmodSync(to, this.#mode(stat));
    copyTimes(stat, to);
  }
}
