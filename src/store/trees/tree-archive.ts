/**
 * A part of a tree of files as a tar, while others may write to the tree. Equal trees give equal bytes: a directory before
 * what is in it, names in the order of their bytes, the first name of a hard-linked file as the file.
 * Never: sockets, which mean nothing without their process; a device's or a pipe's content.
 */
import { type BytePath, joinPath } from "#kernel/files/byte-path.ts";
import { isMissing, type Tree } from "#kernel/files/tree.ts";
import { Errno } from "#kernel/libc.ts";
import type { TarEntry, TarKind } from "#store/tar/tar-entry.ts";
import { encodeEntry, endOfArchive, paddingAfter } from "#store/tar/tar-writer.ts";
import type { FileStretch } from "./file-stretch.ts";
import { inParts } from "./in-parts.ts";
import { HeldFile } from "./mutable-file.ts";

export interface TreeArchiveOptions {
  /** Where in the tree to begin; the last part is not followed. */
  readonly start: BytePath;
  /** What the start is called in the archive. Absent: what is in it, without itself. */
  readonly name?: BytePath | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What is still to be packed: its path in the tree and its name in the archive. */
interface Pending {
  readonly path: BytePath;
  readonly name: BytePath;
}

/** Reads as it is read: nothing is opened before, and nothing stays open after, also when reading stops early. */
export function archiveTree(tree: Tree, o: TreeArchiveOptions): AsyncGenerator<Uint8Array> {
  return inParts(pieces(tree, o), o);
}

function* pieces(tree: Tree, o: TreeArchiveOptions): Generator<Buffer | FileStretch> {
  const links = new Map<string, BytePath>();
  const pending: Pending[] =
    o.name === undefined
      ? within(tree, { path: o.start, name: "" as BytePath })
      : [{ path: o.start, name: o.name }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    using file = HeldFile.at(tree, next.path);
    if (file === undefined) continue;
    yield* packed(file, next.name, links);
    if (file.is("directory")) for (const each of within(tree, next)) pending.push(each);
  }
  yield endOfArchive;
}

/** What is in a directory, the first name last; nothing when it is none any more. */
function within(tree: Tree, { path, name }: Pending): Pending[] {
  const prefix = name === "" || name.endsWith("/") ? name : `${name}/`;
  try {
    return tree
      .list(path)
      .reverse()
      .map((each) => ({ path: joinPath(path, each), name: (prefix + each) as BytePath }));
  } catch (error) {
    if (isMissing(error) || (error instanceof Errno && error.code === "ELOOP")) return [];
    throw error;
  }
}

function* packed(
  file: HeldFile,
  name: BytePath,
  links: Map<string, BytePath>,
): Generator<Buffer | FileStretch> {
  const { stat } = file;
  const kind = kinds.find((each) => file.is(each));
  if (kind === undefined) return;
  const inode = `${stat.device} ${stat.inode}`;
  const hard = kind !== "directory" && stat.linkCount > 1;
  const first = hard ? links.get(inode) : undefined;
  if (first !== undefined) {
    yield encodeEntry({ ...entryOf(file, name, "link"), linkName: first });
    return;
  }
  if (hard) links.set(inode, name);
  yield encodeEntry(entryOf(file, name, kind));
  if (kind !== "file" || stat.sizeBytes === 0) return;
  using content = file.content();
  yield content;
  yield paddingAfter(stat.sizeBytes);
}

const kinds = ["file", "directory", "symlink", "fifo", "character", "block"] as const;
const noLink = "" as BytePath;
const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();

function entryOf(file: HeldFile, name: BytePath, kind: TarKind): TarEntry {
  const { stat } = file;
  const isDevice = kind === "character" || kind === "block";
  return {
    kind,
    name,
    linkName: kind === "symlink" ? file.target : noLink,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    sizeBytes: kind === "file" ? stat.sizeBytes : 0,
    // As Docker's archives have them: finer times would need an extended header for every file.
    mtimeNano: (stat.mtimeNano / billion) * billion,
    major: isDevice ? stat.major : 0,
    minor: isDevice ? stat.minor : 0,
    xattrs: kind === "link" ? noXattrs : file.xattrs,
  };
}
const billion = 1_000_000_000n;
