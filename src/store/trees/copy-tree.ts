/**
 * All that is in a directory into another one, by descriptors: whoever changes either tree meanwhile, with links in place of
 * directories or anything else, has what is his copied or a failure, never something from elsewhere.
 * Promises: owners, modes, times, attributes, links among the files, holes. Sockets are nobody's once copied: left out.
 */
import { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, joinPath } from "#kernel/files/byte-path.ts";
import { type CopyMeans, copyFile } from "#kernel/files/copy-file.ts";
import * as at from "#kernel/files/files-at.ts";
import { getXattrDescriptor, listXattrsDescriptor, setXattrDescriptor } from "#kernel/files/xattr.ts";
import { Errno } from "#kernel/libc.ts";
import { Breath } from "#store/breath.ts";
import { isHousekeeping } from "./overlay-marks.ts";

const { openFlag, fileKind } = at;
const permissionBits = 0o7777;
const newFile = openFlag.write | openFlag.create | openFlag.exclusive | openFlag.noFollow;
const looked = openFlag.read | openFlag.noFollow | openFlag.nonBlocking;
const directory = openFlag.read | openFlag.directory | openFlag.noFollow;

/** A directory that is being copied. */
interface Level {
  readonly from: number;
  readonly to: number;
  /** From the root, without a slash at its end. */
  readonly path: BytePath;
  readonly stat: at.FileStat;
  readonly names: BytePath[];
}

/**
 * `source` and `target` are descriptors of directories and stay the caller's; the target becomes as the source is, too.
 * A failure leaves what was copied so far. @throws Errno.
 */
export async function copyTree(
  source: number,
  target: number,
  o: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  o.signal?.throwIfAborted();
  using copying = new TreeCopy(source, target);
  const breath = new Breath(o.signal);
  for (const _ of copying.steps()) if (breath.due) await breath.take();
}

class TreeCopy implements Disposable {
  readonly #levels: Level[] = [];
  readonly #target: Beneath;
  readonly #means: CopyMeans = { clone: true, range: true };
  /** Where a file with several names was copied to first, by device and inode. */
  readonly #linked = new Map<string, BytePath>();

  constructor(source: number, target: number) {
    this.#target = new Beneath(at.openAt(target, "." as BytePath, directory));
    this.#enter(at.openAt(source, "." as BytePath, directory), target, "" as BytePath, false);
  }

  *steps(): Generator<void> {
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      const name = level.names.pop();
      if (name === undefined) this.#leave();
      else yield* this.#entry(level, name);
      yield;
    }
  }

  #enter(from: number, to: number, path: BytePath, owned = true): void {
    const level = { from, to: owned ? to : at.openAt(to, "." as BytePath, directory), path };
    this.#levels.push({ ...level, stat: at.statDescriptor(from), names: at.listDescriptor(from) });
  }

  #leave(): void {
    const level = this.#levels.pop();
    if (level === undefined) return;
    try {
      describe(level.from, level.to, level.stat);
    } finally {
      at.closeDescriptor(level.from);
      at.closeDescriptor(level.to);
    }
  }

  *#entry({ from, to, path: parent }: Level, name: BytePath): Generator<void> {
    const stat = at.statAt(from, name);
    if (stat === undefined) return;
    const path = joinPath(parent, name);
    switch (stat.mode & fileKind.mask) {
      case fileKind.directory: {
        const inside = openUnchanged(from, name, directory);
        if (inside === undefined) return;
        at.makeDirectoryAt(to, name, 0o700);
        this.#enter(inside, at.openAt(to, name, directory), path);
        return;
      }
      case fileKind.file:
        if (!this.#link(to, name, stat, path)) yield* this.#file(from, to, name);
        return;
      case fileKind.symlink:
        at.symlinkAt(at.readLinkAt(from, name), to, name);
        break;
      case fileKind.socket:
        return;
      default:
        at.makeNodeAt(to, name, stat.mode, stat.major, stat.minor);
    }
    at.chownAt(to, name, stat.uid, stat.gid);
    if ((stat.mode & fileKind.mask) !== fileKind.symlink) at.chmodAt(to, name, stat.mode & permissionBits);
    at.setTimesAt(to, name, stat.mtimeNano);
  }

  /** True when this is one more name of a file that was copied. */
  #link(to: number, name: BytePath, stat: at.FileStat, path: BytePath): boolean {
    if (stat.linkCount < 2) return false;
    const key = `${stat.device} ${stat.inode}`;
    const known = this.#linked.get(key);
    if (known === undefined) {
      this.#linked.set(key, path);
      return false;
    }
    at.linkAt(...this.#target.parent(known), to, name);
    return true;
  }

  *#file(from: number, to: number, name: BytePath): Generator<void> {
    const source = openUnchanged(from, name, looked);
    if (source === undefined) return;
    try {
      const stat = at.statDescriptor(source);
      if ((stat.mode & fileKind.mask) !== fileKind.file) return;
      const target = at.openAt(to, name, newFile, 0o600);
      try {
        yield* copyFile(source, target, { ...stat, means: this.#means });
        describe(source, target, stat);
      } finally {
        at.closeDescriptor(target);
      }
    } finally {
      at.closeDescriptor(source);
    }
  }

  [Symbol.dispose](): void {
    for (const { from, to } of this.#levels.splice(0)) {
      at.closeDescriptor(from);
      at.closeDescriptor(to);
    }
    this.#target[Symbol.dispose]();
  }
}

/** Undefined when it is gone by now, or a link or something else took its place. */
function openUnchanged(from: number, name: BytePath, flags: number): number | undefined {
  try {
    return at.openAt(from, name, flags);
  } catch (error) {
    if (error instanceof Errno && ["ENOENT", "ELOOP", "ENOTDIR", "ENXIO"].includes(error.code))
      return undefined;
    throw error;
  }
}

/** The order matters: a change of owner takes set-uid bits and capabilities away. */
function describe(source: number, target: number, stat: at.FileStat): void {
  at.chownDescriptor(target, stat.uid, stat.gid);
  for (const name of listXattrsDescriptor(source)) {
    const value = isHousekeeping(name) ? undefined : getXattrDescriptor(source, name);
    if (value !== undefined) setXattrDescriptor(target, name, value);
  }
  at.chmodDescriptor(target, stat.mode & permissionBits);
  at.setTimesDescriptor(target, stat.mtimeNano);
}
