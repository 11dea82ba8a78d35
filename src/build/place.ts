/**
 * Files into a root file system, by COPY's and ADD's rules.
 * Owns: where a source ends up, what is replaced, owners and modes of what is made.
 * Promises: writes only beneath the root it is given, links in the image resolved as in a chroot; a file replaces
 * whatever has its name, directories merge. Never: follows or opens what it replaces.
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
import { dirname } from "node:path";
import { Fault } from "#spec/fault.ts";
import { cleanPath } from "./go-text.ts";
import type { PathFilter } from "./ignore-patterns.ts";
import type { ModeChange, Owner } from "./ownership.ts";
import { lookAt, resolveInRoot } from "./rooted-path.ts";
import { type Source, type TreeEntry, walkTree } from "./source-tree.ts";

export interface PlaceOptions {
  /** Of everything copied; absent: each keeps its own. */
  readonly owner?: Owner | undefined;
  /** Permission bits of everything copied but links, from those it had; absent: each keeps its own. */
  readonly mode?: ModeChange | undefined;
  readonly signal: AbortSignal;
}

/** Copied without a breath up to this size. */
const quickFileBytesMax = 1 << 20;
const filesPerBreath = 64;
const root: Owner = { uid: 0, gid: 0 };
const directoryMode = 0o755;
const permissionBits = 0o7777;

/** Where COPY or ADD writes to. */
export interface Destination {
  /** The image's root on the host. */
  readonly root: string;
  /** Absolute in the image; a trailing slash says it is a directory. */
  readonly path: string;
}

/** The destination as the Dockerfile has it, made absolute by WORKDIR. What can only be a directory ends in a slash. */
export function destinationPath(workingDirectory: string, written: string): string {
  const path = cleanPath(written.startsWith("/") ? written : `/${workingDirectory}/${written}`);
  return /(?:^|\/)\.{0,2}$/.test(written) && path !== "/" ? `${path}/` : path;
}

/** Copies one source. @throws Fault `invalid` when a file stands where a directory must be. */
export async function place(source: Source, destination: Destination, o: PlaceOptions): Promise<void> {
  const target = resolveInRoot(destination.root, destination.path);
  const copier = new Copier(o);
  if (source.directory) {
    makeDirectories(destination.root, target, root);
    await copier.directory(source.path, target, source.filter);
    return;
  }
  const inside = destination.path.endsWith("/") || lookAt(target)?.isDirectory() === true;
  const file = inside ? `${target}/${source.name}` : target;
  makeDirectories(destination.root, dirname(file), o.owner ?? root);
  await copier.entry(source.path, file);
}

/**
 * Makes `host` and what is missing above it, down from `top`; only new ones get `owner` and mode 0755. Idempotent.
 * @returns whether anything was made. @throws Fault `invalid` when something else stands in the way.
 */
export function makeDirectories(top: string, host: string, owner: Owner): boolean {
  const missing: string[] = [];
  for (let path = host; path !== top && path.length > top.length; path = dirname(path)) {
    const stat = lookAt(path);
    if (stat?.isDirectory()) break;
    if (stat !== undefined) throw new Fault("invalid", `mkdir ${path.slice(top.length)}: not a directory`);
    missing.push(path);
  }
  for (const path of missing.reverse()) {
    mkdirSync(path, directoryMode);
    lchownSync(path, owner.uid, owner.gid);
    chmodSync(path, directoryMode);
  }
  return missing.length > 0;
}

/** The times of `stat` for what is at `to`. */
export function copyTimes(stat: Stats, to: string): void {
  utimesSync(to, stat.atimeMs / 1000, stat.mtimeMs / 1000);
}

class Copier {
  readonly #o: PlaceOptions;
  /** Files with several names: device and inode → where the first name went. */
  readonly #linked = new Map<string, string>();
  #count = 0;

  constructor(o: PlaceOptions) {
    this.#o = o;
  }

  /** The contents of a directory, but for what is left out, into one that is there. */
  async directory(from: string, to: string, filter: PathFilter | undefined): Promise<void> {
    const directories: TreeEntry[] = [];
    for (const entry of walkTree(from, filter)) {
      if (entry.directory) directories.push(entry);
      await this.entry(`${from}/${entry.path}`, `${to}/${entry.path}`);
    }
    // What was put into them changed their times.
    for (const { path } of directories) this.times(`${from}/${path}`, `${to}/${path}`);
  }

  times(from: string, to: string): void {
    const stat = lookAt(from);
    if (stat !== undefined) copyTimes(stat, to);
  }

  async entry(from: string, to: string): Promise<void> {
    if (++this.#count % filesPerBreath === 0) await new Promise(setImmediate);
    this.#o.signal.throwIfAborted();
    const stat = lookAt(from);
    if (stat === undefined) throw new Fault("internal", `${from} disappeared while it was copied`);
    const there = lookAt(to);
    if (there !== undefined && !(there.isDirectory() && stat.isDirectory()))
      rmSync(to, { recursive: true, force: true });
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
    this.#attributes(to, stat);
  }

  /** @returns true when it became another name of a file that is already there. */
  async #file(from: string, to: string, stat: Stats): Promise<boolean> {
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

  #attributes(to: string, stat: Stats): void {
    const owner = this.#o.owner ?? stat;
    lchownSync(to, owner.uid, owner.gid);
    if (stat.isSymbolicLink()) {
      lutimesSync(to, stat.atimeMs / 1000, stat.mtimeMs / 1000);
      return;
    }
    // After the owner: a change of owner takes setuid bits away.
    chmodSync(
      to,
      this.#o.mode?.(stat.mode & permissionBits, stat.isDirectory()) ?? stat.mode & permissionBits,
    );
    copyTimes(stat, to);
  }
}
