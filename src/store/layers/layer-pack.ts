/**
 * A directory tree with overlay marks as a layer's tar. Equal trees give equal bytes: names in the order of their bytes,
 * a directory before what is in it, the first name of a hard-linked file as the file.
 * Never: sockets, which mean nothing without their process, and attributes that only steer the overlay.
 */
import type { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, joinPath, lastName, parentPath } from "#kernel/files/byte-path.ts";
import * as at from "#kernel/files/files-at.ts";
import { listXattrsDescriptor } from "#kernel/files/xattr.ts";
import { blockBytes, type TarEntry, type TarKind } from "#store/tar/tar-entry.ts";
import { encodeEntry, endOfArchive } from "#store/tar/tar-writer.ts";
import { FileStretch } from "#store/trees/file-stretch.ts";
import {
  isDirectory,
  isHousekeeping,
  isOpaque,
  isWhiteout,
  opaqueName,
  whiteoutPrefix,
} from "#store/trees/overlay-marks.ts";

/** One entry of the tar: `header`, which is lent until the next, so many bytes of the file at `path`, `paddingAfter` them. */
export interface PackedEntry {
  readonly header: Buffer;
  readonly path: BytePath;
  readonly sizeBytes: number;
  /** It is a file that has another name somewhere. */
  readonly manyNames?: boolean;
  /** Its content, open until the next entry is asked for; only of a tree that is still. */
  readonly file?: number;
}

const { fileKind } = at;
type FileStat = at.FileStat;

const root = "" as BytePath;
/** What of a root directory is in a layer. */
export type RootLook = Pick<FileStat, "mode" | "uid" | "gid">;

export interface PackOptions {
  /** Nobody writes to the tree: a file is opened once for all there is to know of it. @default false */
  readonly still?: boolean;
}

/** The tar in order; what ends it has no content. The root itself is in it when it differs from `lowerRoot`. */
export function* packTree(
  tree: Beneath,
  lowerRoot: RootLook | undefined,
  o: PackOptions = {},
): Generator<PackedEntry> {
  const stat = tree.stat(root);
  if (stat !== undefined && lowerRoot !== undefined && !sameOwnership(stat, lowerRoot))
    yield bare({ ...entryOf(tree, { path: root, stat }, "directory"), name: "./" as BytePath });
  yield* packEntries(tree, o.still === true);
  yield { header: endOfArchive, path: root, sizeBytes: 0 };
}

function sameOwnership(one: RootLook, other: RootLook): boolean {
  return one.mode === other.mode && one.uid === other.uid && one.gid === other.gid;
}

/** A directory that is being packed, and what of it is to come, the last first. */
interface Level {
  readonly path: BytePath;
  readonly names: BytePath[];
}

/** No generator within a generator: each would be passed through for each entry. */
function* packEntries(tree: Beneath, still: boolean): Generator<PackedEntry> {
  const links: LinkNames = new Map();
  const block = Buffer.alloc(blockBytes);
  const levels: Level[] = [{ path: root, names: tree.list(root).reverse() }];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const name = level.names.pop();
    if (name === undefined) {
      levels.pop();
      continue;
    }
    const path = joinPath(level.path, name);
    const stat = tree.stat(path);
    if (stat === undefined) continue;
    const file = still && hasContent(stat) ? at.openAt(...tree.parent(path), toRead) : undefined;
    try {
      const entry = packOne(tree, { path, stat, file }, { links, block });
      if (entry !== undefined) yield entry;
    } finally {
      if (file !== undefined) at.closeDescriptor(file);
    }
    if (!isDirectory(stat)) continue;
    if (isOpaque(tree, path)) yield mark(joinPath(path, opaqueName), stat);
    levels.push({ path, names: tree.list(path).reverse() });
  }
}

const toRead = at.openFlag.read | at.openFlag.noFollow;

function hasContent(stat: FileStat): boolean {
  return stat.sizeBytes > 0 && (stat.mode & fileKind.mask) === fileKind.file;
}

/** The first name of each file that has several, by device and inode. */
type LinkNames = Map<string, BytePath>;

interface Held {
  readonly links: LinkNames;
  /** Where headers are written. */
  readonly block: Buffer;
}

interface Place {
  readonly path: BytePath;
  readonly stat: FileStat;
  /** Open, where it may be asked instead of the path. */
  readonly file?: number | undefined;
}

function packOne(tree: Beneath, place: Place, { links, block }: Held): PackedEntry | undefined {
  const { path, stat, file } = place;
  if (isWhiteout(stat))
    return mark(joinPath(parentPath(path), (whiteoutPrefix + lastName(path)) as BytePath), stat);
  const kind = kindOf(stat);
  if (kind === undefined) return undefined;
  const manyNames = kind !== "directory" && stat.linkCount > 1;
  if (manyNames) {
    const inode = `${stat.device} ${stat.inode}`;
    const first = links.get(inode);
    if (first !== undefined) return bare({ ...entryOf(tree, place, "link"), linkName: first });
    links.set(inode, path);
  }
  const entry = entryOf(tree, place, kind);
  return {
    header: encodeEntry(entry, block),
    path,
    sizeBytes: entry.sizeBytes,
    manyNames,
    ...(file !== undefined && { file }),
  };
}

function bare(entry: TarEntry): PackedEntry {
  return { header: encodeEntry(entry), path: root, sizeBytes: 0 };
}

/** An empty file whose name says that something below is gone. */
function mark(name: BytePath, stat: FileStat): PackedEntry {
  const { mtimeNano } = stat;
  return bare({ ...plain, kind: "file", name, mode: 0o600, mtimeNano: wholeSeconds(mtimeNano) });
}

const plain = {
  linkName: root,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  major: 0,
  minor: 0,
  xattrs: new Map<string, Uint8Array>(),
} as const;

function entryOf(tree: Beneath, place: Place, kind: TarKind): TarEntry {
  const { path, stat } = place;
  const device = kind === "character" || kind === "block";
  return {
    kind,
    name: path,
    linkName: kind === "symlink" ? tree.readLink(path) : root,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    sizeBytes: kind === "file" ? stat.sizeBytes : 0,
    mtimeNano: wholeSeconds(stat.mtimeNano),
    major: device ? stat.major : 0,
    minor: device ? stat.minor : 0,
    xattrs: kind === "link" ? plain.xattrs : attributesOf(tree, place),
  };
}

/** As Docker's layers have them: finer times would need an extended header for every file. */
function wholeSeconds(nano: bigint): bigint {
  return nano - (((nano % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n);
}

function attributesOf(tree: Beneath, { path, file }: Place): ReadonlyMap<string, Uint8Array> {
  const all = file === undefined ? tree.listXattrs(path) : listXattrsDescriptor(file);
  const names = all.filter((name) => !isHousekeeping(name));
  if (names.length === 0) return plain.xattrs;
  return new Map(names.map((name) => [name, tree.getXattr(path, name) ?? Buffer.alloc(0)]));
}

function kindOf(stat: FileStat): TarKind | undefined {
  switch (stat.mode & fileKind.mask) {
    case fileKind.file:
      return "file";
    case fileKind.directory:
      return "directory";
    case fileKind.symlink:
      return "symlink";
    case fileKind.fifo:
      return "fifo";
    case fileKind.character:
      return "character";
    case fileKind.block:
      return "block";
    default:
      return undefined;
  }
}

/** `length` bytes of a file in the tree from `offset`. */
export function openStretch(tree: Beneath, path: BytePath, offset: number, length: number): FileStretch {
  return new FileStretch(tree.open(path, toRead), { offset, lengthBytes: length });
}
