/**
 * Tar archives into directories.
 * Owns: what an entry becomes on disk. Promises: writes only beneath the directory given, whatever names and links the
 * archive holds; owners, exact modes, times, attributes, hard links and devices as the archive says; a file replaces
 * what has its name, directories merge; directories' times are right although files were put in them.
 * Never: follows a link as the last part of a name, or writes through a hard link.
 */
import { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, cleanBytePath, parentPath, pathText } from "#kernel/files/byte-path.ts";
import * as at from "#kernel/files/files-at.ts";
import { removeTreeAt } from "#kernel/files/remove-tree.ts";
import type { Tree } from "#kernel/files/tree.ts";
import { setXattrDescriptor } from "#kernel/files/xattr.ts";
import { Errno } from "#kernel/libc.ts";
import { Fault } from "#spec/fault.ts";
import { abortable } from "#store/abortable.ts";
import { Breath } from "#store/breath.ts";
import { explainFull } from "#store/disk-full.ts";
import { type ContentHashes, ContentNotes } from "#store/tar/content-hashes.ts";
import type { TarEntry } from "#store/tar/tar-entry.ts";
import { TarReader, type TarSink } from "#store/tar/tar-reader.ts";
import { isDirectory, isHousekeeping } from "./overlay-marks.ts";

export interface UnpackSummary {
  readonly entries: number;
  /** Of all regular files. */
  readonly sizeBytes: number;
}

/**
 * Unpacks a plain tar into `directory`, which exists. Names that begin with `.wh.` mean nothing special. A failure
 * leaves what was unpacked so far. `hashes` notes what the files hold.
 * @throws Fault `invalid` for a damaged or hostile archive; `unavailable` for a full disk; an error of `tar` as it is.
 */
export async function unpackTar(
  tar: AsyncIterable<Uint8Array>,
  directory: string,
  o: { readonly signal?: AbortSignal; readonly hashes?: ContentHashes | undefined } = {},
): Promise<UnpackSummary> {
  const notes = o.hashes === undefined ? undefined : new ContentNotes(o.hashes);
  using writer = new TreeWriter(Beneath.open(directory), notes ?? {});
  try {
    await pumpTar(tar, new TarReader(notes?.before(writer) ?? writer), o);
    writer.end();
    return writer.summary;
  } catch (error) {
    throw explainFull(error, directory);
  }
}

/** Feeds a reader to its end, with pauses. `seen` gets every part first. */
export async function pumpTar(
  tar: AsyncIterable<Uint8Array>,
  reader: TarReader,
  o: {
    readonly signal?: AbortSignal | undefined;
    readonly endRequired?: boolean;
    readonly seen?: (bytes: Uint8Array) => void;
  },
): Promise<void> {
  const breath = new Breath(o.signal);
  for await (const bytes of abortable(tar, o.signal))
    for (let start = 0; start < bytes.length; start += strideBytes) {
      const part = bytes.length <= strideBytes ? bytes : bytes.subarray(start, start + strideBytes);
      o.seen?.(part);
      reader.push(part);
      if (breath.due) await breath.take();
    }
  reader.finish({ endRequired: o.endRequired === true });
}
/** Worked on without a look at the clock. */
const strideBytes = 1 << 20;

/** Owner, permission bits and time of a directory that no entry describes. */
export interface ImpliedDirectory {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly mtimeNano?: bigint;
}

/** Where layers differ from plain archives. */
export interface UnpackPolicy {
  /** Called with every entry's clean path first; true when it is dealt with. */
  special?(entry: TarEntry, path: BytePath): boolean;
  /** Takes away what is at `path` to make room for something else. @default removes it. */
  displace?(path: BytePath): void;
  /** True when what is at `path` only marks an absence, and gives way to directories too. */
  isMark?(stat: at.FileStat): boolean;
  implied?(path: BytePath): ImpliedDirectory | undefined;
  /** A directory was made at `path`; `replaced` when something had to give way. */
  madeDirectory?(path: BytePath, replaced: boolean): void;
  /** Content of the file at `path`, links in it not resolved, was written. */
  wrote?(path: BytePath, offset: number, length: number): void;
  /** A file is complete and about to be closed; its inode is that of `stat`. */
  complete?(stat: at.FileStat): void;
}

const permissionBits = 0o7777;
const plainDirectory: ImpliedDirectory = { uid: 0, gid: 0, mode: 0o755 };
const attributeNamespaces = /^(?:user|trusted|security|system\.posix_acl_(?:access|default))(?:\.|$)/;

/** Puts the entries of an archive beneath a root it takes over. Call `end()` after the last. */
export class TreeWriter implements TarSink, Disposable {
  readonly #root: Tree;
  readonly #policy: UnpackPolicy;
  readonly #directoryTimes = new Map<BytePath, bigint>();
  #file = -1;
  #entry: TarEntry | undefined;
  #path = "" as BytePath;
  #entries = 0;
  #sizeBytes = 0;

  constructor(root: Tree, policy: UnpackPolicy) {
    this.#root = root;
    this.#policy = policy;
  }

  get summary(): UnpackSummary {
    return { entries: this.#entries, sizeBytes: this.#sizeBytes };
  }

  entry(entry: TarEntry): boolean {
    this.#entries++;
    const path = cleanBytePath(entry.name);
    if (path === undefined) throw climbs(entry.name);
    this.#entry = entry;
    this.#path = path;
    try {
      if (this.#policy.special?.(entry, path) === true) return false;
      return this.#make(entry, path);
    } catch (error) {
      throw explained(error, path);
    }
  }

  #make(entry: TarEntry, path: BytePath): boolean {
    if (path === "" && entry.kind !== "directory")
      throw new Fault("invalid", "the archive would replace the root directory by a file");
    switch (entry.kind) {
      case "file":
        this.#create(path, (directory, name) => {
          const { write, create, exclusive, noFollow } = at.openFlag;
          // The process's umask may take bits away, which come back at its end; those that give rights wait for the owner.
          const mode = entry.mode & 0o777;
          this.#file = at.openAt(directory, name, write | create | exclusive | noFollow, mode);
        });
        return true;
      case "directory":
        this.#directory(entry, path);
        return false;
      case "symlink":
        this.#create(path, (directory, name) => at.symlinkAt(entry.linkName, directory, name));
        break;
      case "link":
        this.#link(entry, path);
        return false;
      default: {
        const mode = nodeKinds[entry.kind] | (entry.mode & 0o700);
        this.#create(path, (directory, name) =>
          at.makeNodeAt(directory, name, mode, entry.major, entry.minor),
        );
      }
    }
    this.#attributes(entry, path);
    this.#root.setTimes(path, entry.mtimeNano);
    return false;
  }

  content(bytes: Buffer, offset: number): void {
    try {
      at.writeAt(this.#file, bytes, offset);
    } catch (error) {
      throw explained(error, this.#path);
    }
    this.#policy.wrote?.(this.#path, offset, bytes.length);
  }

  endEntry(): void {
    const [fd, entry] = [this.#file, this.#entry];
    if (fd < 0 || entry === undefined) return;
    this.#file = -1;
    try {
      if (entry.extents !== undefined) at.truncate(fd, entry.sizeBytes);
      const stat = at.statDescriptor(fd);
      // Most are made right: to look is cheaper than to change.
      const owned = stat.uid === entry.uid && stat.gid === entry.gid;
      if (!owned) at.chownDescriptor(fd, entry.uid, entry.gid);
      for (const [name, value] of entry.xattrs)
        setAttribute(entry, name, () => setXattrDescriptor(fd, name, value));
      const like = owned && entry.xattrs.size === 0 && (stat.mode & permissionBits) === entry.mode;
      if (!like) at.chmodDescriptor(fd, entry.mode);
      at.setTimesDescriptor(fd, entry.mtimeNano);
      this.#sizeBytes += entry.sizeBytes;
      this.#policy.complete?.(stat);
    } catch (error) {
      throw explained(error, this.#path);
    } finally {
      at.closeDescriptor(fd);
    }
  }

  /** Sets what had to wait for the last entry. */
  end(): void {
    const deepestFirst = [...this.#directoryTimes].reverse();
    for (const [path, mtimeNano] of deepestFirst)
      if (isDirectory(this.#root.stat(path))) this.#root.setTimes(path, mtimeNano);
  }

  [Symbol.dispose](): void {
    if (this.#file >= 0) at.closeDescriptor(this.#file);
    this.#root[Symbol.dispose]();
  }

  /** Makes room and missing directories above only when it turns out that they are needed. */
  #create(path: BytePath, make: (directory: number, name: BytePath) => void): boolean {
    let replaced = false;
    for (let attempt = 0; ; attempt++) {
      try {
        make(...this.#root.parent(path));
        return replaced;
      } catch (error) {
        if (!(error instanceof Errno) || attempt === 2) throw error;
        if (error.code === "EEXIST") {
          this.#displace(path);
          replaced = true;
        } else if (error.code === "ENOENT" || error.code === "ENOTDIR") this.makeParents(path);
        else throw error;
      }
    }
  }

  #displace(path: BytePath): void {
    if (this.#policy.displace === undefined) removeTreeAt(...this.#root.parent(path));
    else this.#policy.displace(path);
    this.#root.forget();
  }

  #directory(entry: TarEntry, path: BytePath): void {
    if (!isDirectory(this.#root.stat(path))) this.#makeDirectory(path);
    this.#attributes(entry, path);
    this.#directoryTimes.delete(path);
    this.#directoryTimes.set(path, entry.mtimeNano);
  }

  #makeDirectory(path: BytePath): void {
    const replaced = this.#create(path, (directory, name) => at.makeDirectoryAt(directory, name, 0o700));
    this.#policy.madeDirectory?.(path, replaced);
  }

  /** The directories above `path` that no entry described. */
  makeParents(path: BytePath): void {
    const missing: BytePath[] = [];
    for (let parent = parentPath(path); parent !== ""; parent = parentPath(parent)) {
      const stat = this.#root.stat(parent);
      if (stat !== undefined && this.#policy.isMark?.(stat) !== true) break;
      missing.push(parent);
    }
    for (const parent of missing.reverse()) {
      this.#makeDirectory(parent);
      const implied = this.#policy.implied?.(parent) ?? plainDirectory;
      this.#root.chown(parent, implied.uid, implied.gid);
      this.#root.chmod(parent, implied.mode & 0o7777);
      if (implied.mtimeNano !== undefined) this.#directoryTimes.set(parent, implied.mtimeNano);
    }
  }

  #link(entry: TarEntry, path: BytePath): void {
    const existing = cleanBytePath(entry.linkName);
    if (existing === undefined) throw climbs(entry.linkName);
    if (existing === path) return;
    const target = this.#root.stat(existing);
    if (target === undefined || isDirectory(target) || this.#policy.isMark?.(target) === true)
      throw new Fault(
        "invalid",
        `${pathText(path)} in the archive is a hard link to ${pathText(existing)}, which is no file in it`,
      );
    let made = false;
    this.#create(path, () => {
      this.#root.link(existing, path);
      made = true;
    });
    if (!made) throw new Fault("internal", `${pathText(path)} was not linked`);
  }

  /** Of anything but a regular file. */
  #attributes(entry: TarEntry, path: BytePath): void {
    const [directory, name] = this.#root.parent(path);
    at.chownAt(directory, name, entry.uid, entry.gid);
    for (const [attribute, value] of entry.xattrs)
      setAttribute(entry, attribute, () => this.#root.setXattr(path, attribute, value));
    if (entry.kind !== "symlink") at.chmodAt(directory, name, entry.mode);
  }
}

const nodeKinds = {
  fifo: at.fileKind.fifo,
  character: at.fileKind.character,
  block: at.fileKind.block,
} as const;

/** Leaves out what Linux has no place for, such as macOS's attributes, and user attributes where none are kept. */
function setAttribute(entry: TarEntry, name: string, set: () => void): void {
  if (!attributeNamespaces.test(name) || isHousekeeping(name)) return;
  try {
    set();
  } catch (error) {
    const code = error instanceof Errno ? error.code : "";
    const kept = code !== "EOPNOTSUPP" && !(code === "EPERM" && entry.kind !== "file");
    if (kept || name.startsWith("security.")) throw error;
  }
}

function climbs(name: BytePath): Fault {
  return new Fault("invalid", `the name ${JSON.stringify(pathText(name))} in the archive climbs out of it`);
}

/** The archive's fault in a sentence; an error of the disk as it is. */
function explained(error: unknown, path: BytePath): unknown {
  if (!(error instanceof Errno)) return error;
  const reasons: Readonly<Record<string, string>> = {
    ENOTDIR: "lies below something that is no directory",
    ENOENT: "lies behind a link that leads nowhere",
    ELOOP: "lies behind links that go in circles",
    ENAMETOOLONG: "is longer than Linux allows",
  };
  const reason = reasons[error.code];
  if (reason === undefined) return error;
  return new Fault("invalid", `the archive cannot be unpacked: ${pathText(path)} ${reason}`, {
    cause: error,
  });
}
