/**
 * Files beneath a root, addressed by paths that cannot leave it.
 * Owns: a descriptor of the root and one of the directory used last. Promises: absolute paths, `..` and symbolic links,
 * also ones that appear while a call runs, end up inside the root, as in a chroot; the last part of a path is never
 * followed unless a method says so. Never: magic links of /proc.
 */
import { FFIType, ptr } from "bun:ffi";
import { Errno, errno, libc, pinnedBuffer } from "#kernel/libc.ts";
import {
  type BytePath,
  cleanBytePath,
  joinPath,
  lastName,
  parentPath,
  pathBytesMax,
  pathText,
} from "./byte-path.ts";
import * as at from "./files-at.ts";
import { openFlag } from "./files-at.ts";
import { Tree } from "./tree.ts";

const c = libc({
  syscall: {
    args: [FFIType.i64, FFIType.i32, FFIType.ptr, FFIType.ptr, FFIType.u64],
    returns: FFIType.i32,
  },
});

/** The same on every architecture. */
const openat2Number = 437;
const resolveNoMagicLinks = 0x02;
const resolveInRoot = 0x10;
/** openat2 gives up with EAGAIN when it lost races with renames; then it is asked again, this often. */
const raceAttemptsMax = 128;
/** As many links as the kernel follows on one path. */
const linksMax = 40;

const path = pinnedBuffer(pathBytesMax + 1);
const how = pinnedBuffer(24);
const [pathPointer, howPointer] = [ptr(path), ptr(how)];

let openat2Works: boolean | undefined;

export interface BeneathOptions {
  /** False walks part by part, as on kernels before 5.6; for tests. */
  readonly openat2?: boolean;
}

export class Beneath extends Tree {
  readonly #root: number;
  readonly #openat2: boolean;
  #parentPath: BytePath | undefined;
  #parent = -1;

  /** Takes over `root`, a descriptor of a directory. */
  constructor(root: number, o: BeneathOptions = {}) {
    super();
    this.#root = root;
    openat2Works ??= probe(root);
    this.#openat2 = openat2Works && o.openat2 !== false;
  }

  /** @throws Errno when `directory`, a path on the host, is not a directory. */
  static open(directory: string, o: BeneathOptions = {}): Beneath {
    const root = at.openAt(currentDirectory, hostPath(directory), openFlag.read | openFlag.directory);
    return new Beneath(root, o);
  }

  /** Opens what `path` leads to, the last link followed too unless `flags` say `noFollow`. The caller closes it. */
  open(path: BytePath, flags: number, mode = 0): number {
    return this.#openat2
      ? openInRoot(this.#root, path, flags, mode)
      : this.#walk(path, flags, mode, linksMax);
  }

  /**
   * A descriptor of the directory that holds the last part of `path`, and that part. It stays open until the next call
   * of any method; do not close it. For the root itself the name is `.`.
   */
  parent(path: BytePath): [directory: number, name: BytePath] {
    const slash = path.lastIndexOf("/");
    const name = path.slice(slash + 1) as BytePath;
    if (path === "" || name === "" || name === "." || name === "..") return this.#parentOfUnclean(path);
    const parent = path.slice(0, Math.max(slash, 0)) as BytePath;
    if (parent === "") return [this.#root, name];
    if (parent !== this.#parentPath) {
      const next = this.#next(parent) ?? this.open(parent, openFlag.read | openFlag.directory);
      this.forget();
      this.#parent = next;
      this.#parentPath = parent;
    }
    return [this.#parent, name];
  }

  /** One step from the directory used last, so that a walk costs no more the deeper it is; undefined when it is more. */
  #next(path: BytePath): number | undefined {
    if (this.#parentPath === undefined || parentPath(path) !== this.#parentPath) return undefined;
    const name = lastName(path);
    if (name === "" || name === "." || name === "..") return undefined;
    try {
      return at.openAt(this.#parent, name, openFlag.read | openFlag.directory | openFlag.noFollow);
    } catch (error) {
      // A link, which is followed from the root.
      if (error instanceof Errno && (error.code === "ENOTDIR" || error.code === "ELOOP")) return undefined;
      throw error;
    }
  }

  #parentOfUnclean(path: BytePath): [directory: number, name: BytePath] {
    const clean = cleanBytePath(path) ?? ("" as BytePath);
    return clean === "" ? [this.#root, "." as BytePath] : this.parent(clean);
  }

  /** Lets go of the directory used last; needed after directories were moved behind this object's back. */
  forget(): void {
    if (this.#parent >= 0) at.closeDescriptor(this.#parent);
    this.#parent = -1;
    this.#parentPath = undefined;
  }

  /** Both paths are beneath this root. */
  rename(from: BytePath, to: BytePath): void {
    const [fromDirectory, fromName] = this.parent(from);
    using second = new Beneath(at.openAt(this.#root, "." as BytePath, openFlag.path | openFlag.directory), {
      openat2: this.#openat2,
    });
    const [toDirectory, toName] = second.parent(to);
    at.renameAt(fromDirectory, fromName, toDirectory, toName);
    this.forget();
  }

  /** Where the directory holding `path` really is: relative to the root, links resolved, and the last part of `path`. */
  resolve(path: BytePath): BytePath {
    const [directory, name] = this.parent(path);
    const root = at.readLinkAt(currentDirectory, at.descriptorPath(this.#root) as BytePath);
    const here = at.readLinkAt(currentDirectory, at.descriptorPath(directory) as BytePath);
    const inside = here === root ? "" : here.slice(root === "/" ? 1 : root.length + 1);
    return joinPath(inside as BytePath, name);
  }

  [Symbol.dispose](): void {
    this.forget();
    at.closeDescriptor(this.#root);
  }

  /** `open` by single parts, for kernels without openat2: what the kernel would do, seen from here. */
  #walk(path: BytePath, flags: number, mode: number, links: number): number {
    const chain: number[] = [];
    try {
      const pending = path.split("/").reverse();
      let budget = links;
      for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
        if (part === "" || part === ".") continue;
        if (part === "..") {
          const left = chain.pop();
          if (left !== undefined) at.closeDescriptor(left);
          continue;
        }
        const here = chain.at(-1) ?? this.#root;
        const last = pending.every((rest) => rest === "" || rest === ".");
        const target = linkTarget(here, part as BytePath);
        if (target !== undefined && !(last && (flags & openFlag.noFollow) !== 0)) {
          if (--budget < 0) throw new Errno(40, `open ${pathText(path)}`);
          pending.push(...target.split("/").reverse());
          if (target.startsWith("/")) for (const fd of chain.splice(0)) at.closeDescriptor(fd);
          continue;
        }
        if (last) return at.openAt(here, part as BytePath, flags | openFlag.noFollow, mode);
        chain.push(at.openAt(here, part as BytePath, openFlag.path | openFlag.directory | openFlag.noFollow));
      }
      return at.openAt(chain.at(-1) ?? this.#root, "." as BytePath, flags & ~openFlag.create, mode);
    } finally {
      for (const fd of chain) at.closeDescriptor(fd);
    }
  }
}

const currentDirectory = -100;

function hostPath(text: string): BytePath {
  return Buffer.from(text).toString("latin1") as BytePath;
}

function linkTarget(directory: number, name: BytePath): BytePath | undefined {
  const stat = at.statAt(directory, name);
  if (stat === undefined || (stat.mode & at.fileKind.mask) !== at.fileKind.symlink) return undefined;
  return at.readLinkAt(directory, name);
}

function probe(root: number): boolean {
  try {
    at.closeDescriptor(openInRoot(root, "." as BytePath, openFlag.path | openFlag.directory, 0));
    return true;
  } catch (error) {
    // EPERM: a seccomp filter that does not know the call.
    if (error instanceof Errno && (error.code === "ENOSYS" || error.code === "EPERM")) return false;
    throw error;
  }
}

function openInRoot(root: number, target: BytePath, flags: number, mode: number): number {
  if (target.length > pathBytesMax) throw new Errno(36, `open ${pathText(target.slice(0, 64) as BytePath)}`);
  path.write(target, 0, "latin1");
  path[target.length] = 0;
  how.writeBigUInt64LE(BigInt(flags | at.closeOnExec), 0);
  how.writeBigUInt64LE(BigInt(mode), 8);
  how.writeBigUInt64LE(BigInt(resolveInRoot | resolveNoMagicLinks), 16);
  for (let attempt = 1; ; attempt++) {
    const fd = c.syscall(openat2Number, root, pathPointer, howPointer, how.length);
    if (fd >= 0) return fd;
    const failure = new Errno(errno(), `open ${pathText(target)}`);
    if (failure.code !== "EAGAIN" || attempt === raceAttemptsMax) throw failure;
  }
}
