/**
 * What can be done to a tree of files addressed by paths, once it is known how a path is followed.
 * Promises: the last part of a path is never followed unless a method says so; every change is made relative to the
 * directory that `parent` found, never by a path from the top.
 */

import { Errno } from "#kernel/libc.ts";
import { type BytePath, cleanBytePath, joinPath } from "./byte-path.ts";
import * as at from "./files-at.ts";
import { type FileStat, openFlag } from "./files-at.ts";
import * as xattr from "./xattr.ts";

export abstract class Tree implements Disposable {
  /** Opens what `path` leads to, the last link followed too unless `flags` say `noFollow`. The caller closes it. */
  abstract open(path: BytePath, flags: number, mode?: number): number;

  /**
   * A descriptor of the directory that holds the last part of `path`, and that part. It stays open until the next call
   * of any method; do not close it. For the root itself the name is `.`.
   */
  abstract parent(path: BytePath): [directory: number, name: BytePath];

  /** Lets go of the directory used last; needed after directories were moved behind this object's back. */
  abstract forget(): void;

  abstract [Symbol.dispose](): void;

  /** Undefined when there is nothing, also when a part before the last is missing or no directory. */
  stat(path: BytePath): FileStat | undefined {
    try {
      const [directory, name] = this.parent(path);
      return at.statAt(directory, name);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** A handle on what is at `path` and nothing else, a link included: what it tells stays true of what it opens. */
  handle(path: BytePath): number {
    const [directory, name] = this.parent(path);
    if (name !== "") return at.openAt(directory, name, openFlag.path | openFlag.noFollow);
    return at.openAt(directory, at.descriptorPath(directory) as BytePath, openFlag.path);
  }

  /** Names in a directory, sorted by their bytes. A link that is the last part is followed. */
  list(path: BytePath): BytePath[] {
    const fd = this.open(path === "" ? ("." as BytePath) : path, openFlag.read | openFlag.directory);
    try {
      return at.listDescriptor(fd).sort();
    } finally {
      at.closeDescriptor(fd);
    }
  }

  /** @throws Errno `EEXIST` when something has the name. The mode is exact. */
  makeDirectory(path: BytePath, mode: number): void {
    const [directory, name] = this.parent(path);
    at.makeDirectoryAt(directory, name, mode & 0o777);
    at.chmodAt(directory, name, mode);
  }

  /** Makes every missing directory of `path`. Idempotent. @throws Errno `ENOTDIR` when a file is in the way. */
  makeDirectories(path: BytePath, mode: number): void {
    let made = "" as BytePath;
    for (const part of (cleanBytePath(path) ?? "").split("/")) {
      made = joinPath(made, part as BytePath);
      if (part === "") continue;
      try {
        this.makeDirectory(made, mode);
      } catch (error) {
        if (!(error instanceof Errno) || error.code !== "EEXIST") throw error;
        at.closeDescriptor(this.open(made, openFlag.path | openFlag.directory));
      }
    }
  }

  /** Removes a file or an empty directory. False when there is nothing. */
  remove(path: BytePath): boolean {
    const stat = this.stat(path);
    if (stat === undefined) return false;
    const isDirectory = (stat.mode & at.fileKind.mask) === at.fileKind.directory;
    const [directory, name] = this.parent(path);
    at.removeAt(directory, name, isDirectory);
    if (isDirectory) this.forget();
    return true;
  }

  symlink(target: BytePath, path: BytePath): void {
    const [directory, name] = this.parent(path);
    at.symlinkAt(target, directory, name);
  }

  readLink(path: BytePath): BytePath {
    const [directory, name] = this.parent(path);
    return at.readLinkAt(directory, name);
  }

  /** Another name for `existing`, which is in the tree too; a link is itself linked. */
  link(existing: BytePath, path: BytePath): void {
    const [directory, from] = this.parent(existing);
    const held = at.openAt(directory, "." as BytePath, openFlag.path | openFlag.directory);
    try {
      const [to, name] = this.parent(path);
      at.linkAt(held, from, to, name);
    } finally {
      at.closeDescriptor(held);
    }
  }

  /** A device, pipe or empty file, as the kind bits of `mode` say. The mode is exact. */
  makeNode(path: BytePath, mode: number, major = 0, minor = 0): void {
    const [directory, name] = this.parent(path);
    at.makeNodeAt(directory, name, mode, major, minor);
    at.chmodAt(directory, name, mode & 0o7777);
  }

  chown(path: BytePath, uid: number, gid: number): void {
    const [directory, name] = this.parent(path);
    at.chownAt(directory, name, uid, gid);
  }

  /** Clears nothing: call it after `chown`, which drops set-user-id bits. @throws Errno for a link. */
  chmod(path: BytePath, mode: number): void {
    const [directory, name] = this.parent(path);
    at.chmodAt(directory, name, mode);
  }

  setTimes(path: BytePath, mtimeNano: bigint): void {
    const [directory, name] = this.parent(path);
    at.setTimesAt(directory, name, mtimeNano);
  }

  getXattr(path: BytePath, attribute: string): Buffer | undefined {
    const [directory, name] = this.parent(path);
    return xattr.getXattr(directory, name, attribute);
  }

  listXattrs(path: BytePath): string[] {
    const [directory, name] = this.parent(path);
    return xattr.listXattrs(directory, name);
  }

  setXattr(path: BytePath, attribute: string, value: Uint8Array): void {
    const [directory, name] = this.parent(path);
    xattr.setXattr(directory, name, attribute, value);
  }
}

/** True for the errors of a path whose end is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof Errno && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
