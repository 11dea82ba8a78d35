/**
 * Reading files that someone else may exchange meanwhile: a container for a pipe that nobody writes to, a device that is
 * the machine's disk, a link.
 * Promises: only regular files are opened, and what was said of one is true of what is read; nothing waits.
 */
import type { BytePath } from "#kernel/files/byte-path.ts";
import * as at from "#kernel/files/files-at.ts";
import { isMissing, type Tree } from "#kernel/files/tree.ts";
import { getXattrDescriptor, listXattrsDescriptor } from "#kernel/files/xattr.ts";
import { Errno } from "#kernel/libc.ts";
import { FileStretch } from "./file-stretch.ts";
import { isHousekeeping } from "./overlay-marks.ts";

/** What is at a path, held: it cannot become something else. Close it. */
export class HeldFile implements Disposable {
  readonly stat: at.FileStat;
  readonly #handle: number;
  #open: number | undefined;

  private constructor(handle: number) {
    this.#handle = handle;
    this.stat = at.statDescriptor(handle);
  }

  /** Undefined when there is nothing. Links are not followed. */
  static at(tree: Tree, path: BytePath): HeldFile | undefined {
    let handle: number;
    try {
      handle = tree.handle(path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    return new HeldFile(handle);
  }

  is(kind: Exclude<keyof typeof at.fileKind, "mask">): boolean {
    return (this.stat.mode & at.fileKind.mask) === at.fileKind[kind];
  }

  get target(): BytePath {
    return at.readLinkAt(this.#handle, "" as BytePath);
  }

  /** Of a regular file or a directory; nothing else carries what an archive could hold. */
  get xattrs(): ReadonlyMap<string, Uint8Array> {
    const fd = this.#readable;
    if (fd === undefined) return none;
    const names = listXattrsDescriptor(fd).filter((name) => !isHousekeeping(name));
    if (names.length === 0) return none;
    return new Map(names.map((name) => [name, getXattrDescriptor(fd, name) ?? Buffer.alloc(0)]));
  }

  /** Exactly `sizeBytes`, once; what is missing by now comes as zeros. */
  content(sizeBytes = this.stat.sizeBytes): FileStretch {
    const fd = this.is("file") ? this.#readable : undefined;
    this.#open = undefined;
    return new FileStretch(fd, { lengthBytes: sizeBytes });
  }

  /** Opened when it is needed. Undefined for other kinds, and for what even root may not read. */
  get #readable(): number | undefined {
    if (this.#open !== undefined || !(this.is("file") || this.is("directory"))) return this.#open;
    try {
      this.#open = at.reopen(this.#handle);
    } catch (error) {
      if (!(error instanceof Errno) || (error.code !== "EACCES" && error.code !== "EPERM")) throw error;
    }
    return this.#open;
  }

  [Symbol.dispose](): void {
    if (this.#open !== undefined) at.closeDescriptor(this.#open);
    at.closeDescriptor(this.#handle);
  }
}

const none: ReadonlyMap<string, Uint8Array> = new Map();
