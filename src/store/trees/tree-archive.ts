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

/** A tree, and a file that is in none: both belong in one archive. */
export type ArchivedPart =
  | (Omit<TreeArchiveOptions, "signal"> & { readonly tree: Tree })
  | {
      readonly name: BytePath;
      readonly content: Uint8Array;
      readonly mode: number;
      readonly mtimeNano: bigint;
    };

/** What is still to be packed: its path in the tree and its name in the archive. */
interface Pending {
  readonly path: BytePath;
  readonly name: BytePath;
}

/** Reads as it is read: nothing is opened before, and nothing stays open after, also when reading stops early. */
export function archiveTree(tree: Tree, o: TreeArchiveOptions): AsyncGenerator<Uint8Array> {
  return archiveParts([{ ...o, tree }], o);
}

/** The same for several, one behind the other. With `mtimeNano` all files are of that time. */
export function archiveParts(
  parts: readonly ArchivedPart[],
  o: { readonly signal?: AbortSignal | undefined; readonly mtimeNano?: bigint | undefined },
): AsyncGenerator<Uint8Array> {
  return inParts(pieces(parts, o.mtimeNano), o);
}

function* pieces(
  parts: readonly ArchivedPart[],
  mtimeNano: bigint | undefined,
): Generator<Buffer | FileStretch> {
  for (const part of parts)
    if ("tree" in part) yield* ofTree(part.tree, part, mtimeNano);
    else {
      const { name, content, mode } = part;
      const time = mtimeNano ?? part.mtimeNano;
      yield encodeEntry({ ...emptyFile, name, mode, sizeBytes: content.length, mtimeNano: time });
      yield Buffer.from(content.buffer, content.byteOffset, content.length);
      yield paddingAfter(content.length);
    }
  yield endOfArchive;
}

function* ofTree(
  tree: Tree,
  o: TreeArchiveOptions,
  mtimeNano: bigint | undefined,
): Generator<Buffer | FileStretch> {
  const links = new Map<string, BytePath>();
  const pending: Pending[] =
    o.name === undefined
      ? within(tree, { path: o.start, name: "" as BytePath })
      : [{ path: o.start, name: o.name }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    using file = HeldFile.at(tree, next.path);
    if (file === undefined) continue;
    yield* packed(file, next.name, { links, mtimeNano });
    if (file.is("directory")) for (const each of within(tree, next)) pending.push(each);
  }
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
  { links, mtimeNano }: { readonly links: Map<string, BytePath>; readonly mtimeNano: bigint | undefined },
): Generator<Buffer | FileStretch> {
  const { stat } = file;
  const kind = kinds.find((each) => file.is(each));
  if (kind === undefined) return;
  const inode = `${stat.device} ${stat.inode}`;
  const hard = kind !== "directory" && stat.linkCount > 1;
  const first = hard ? links.get(inode) : undefined;
  const entry = (of: TarKind): TarEntry => {
    const own = entryOf(file, name, of);
    return mtimeNano === undefined ? own : { ...own, mtimeNano };
  };
  if (first !== undefined) {
    yield encodeEntry({ ...entry("link"), linkName: first });
    return;
  }
  if (hard) links.set(inode, name);
  yield encodeEntry(entry(kind));
  if (kind !== "file" || stat.sizeBytes === 0) return;
  using content = file.content();
  yield content;
  yield paddingAfter(stat.sizeBytes);
}

const kinds = ["file", "directory", "symlink", "fifo", "character", "block"] as const;
const noLink = "" as BytePath;
const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();

const emptyFile: Omit<TarEntry, "name" | "mode" | "sizeBytes" | "mtimeNano"> = {
  ...{ kind: "file", linkName: noLink, uid: 0, gid: 0, major: 0, minor: 0, xattrs: noXattrs },
};

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
