/**
 * A directory tree with overlay marks as a layer's tar. Equal trees give equal bytes: names in the order of their bytes,
 * a directory before what is in it, the first name of a hard-linked file as the file.
 * Never: sockets, which mean nothing without their process, and attributes that only steer the overlay.
 */
import type { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, joinPath, lastName, parentPath } from "#kernel/files/byte-path.ts";
import { type FileStat, fileKind, openFlag } from "#kernel/files/files-at.ts";
import type { TarEntry, TarKind } from "#store/tar/tar-entry.ts";
import { encodeEntry, endOfArchive, paddingAfter } from "#store/tar/tar-writer.ts";
import { FileStretch } from "#store/trees/file-stretch.ts";
import {
  isDirectory,
  isHousekeeping,
  isOpaque,
  isWhiteout,
  opaqueName,
  whiteoutPrefix,
} from "#store/trees/overlay-marks.ts";

/** Bytes as they are, or the whole content of a file in the tree. */
export type PackedPart =
  /** `manyNames`: of a file that has another name somewhere. */
  | { readonly structure: Buffer; readonly manyNames?: boolean }
  | { readonly path: BytePath; readonly sizeBytes: number };

const root = "" as BytePath;
/** What of a root directory is in a layer. */
export type RootLook = Pick<FileStat, "mode" | "uid" | "gid">;

/** The parts of the tar in order. The root itself is in it when it differs from `lowerRoot`. */
export function* packTree(tree: Beneath, lowerRoot: RootLook | undefined): Generator<PackedPart> {
  const stat = tree.stat(root);
  if (stat !== undefined && lowerRoot !== undefined && !sameOwnership(stat, lowerRoot))
    yield { structure: encodeEntry(entryOf(tree, root, "./" as BytePath, "directory", stat)) };
  yield* packDirectory(tree, root, new Map());
  yield { structure: endOfArchive };
}

function sameOwnership(one: RootLook, other: RootLook): boolean {
  return one.mode === other.mode && one.uid === other.uid && one.gid === other.gid;
}

type LinkNames = Map<string, BytePath>;

function* packDirectory(tree: Beneath, directory: BytePath, links: LinkNames): Generator<PackedPart> {
  for (const name of tree.list(directory)) {
    const path = joinPath(directory, name);
    const stat = tree.stat(path);
    if (stat === undefined) continue;
    yield* packOne(tree, path, stat, links);
    if (!isDirectory(stat)) continue;
    if (isOpaque(tree, path)) yield mark(joinPath(path, opaqueName), stat);
    yield* packDirectory(tree, path, links);
  }
}

function* packOne(tree: Beneath, path: BytePath, stat: FileStat, links: LinkNames): Generator<PackedPart> {
  if (isWhiteout(stat)) {
    const hidden = (whiteoutPrefix + lastName(path)) as BytePath;
    yield mark(joinPath(parentPath(path), hidden), stat);
    return;
  }
  const kind = kindOf(stat);
  if (kind === undefined) return;
  const inode = `${stat.device} ${stat.inode}`;
  const first = kind !== "directory" && stat.linkCount > 1 ? links.get(inode) : undefined;
  if (first !== undefined) {
    yield { structure: encodeEntry({ ...entryOf(tree, path, path, "link", stat), linkName: first }) };
    return;
  }
  const manyNames = kind !== "directory" && stat.linkCount > 1;
  if (manyNames) links.set(inode, path);
  const entry = entryOf(tree, path, path, kind, stat);
  yield { structure: encodeEntry(entry), manyNames };
  if (entry.sizeBytes === 0) return;
  yield { path, sizeBytes: entry.sizeBytes };
  const padding = paddingAfter(entry.sizeBytes);
  if (padding.length > 0) yield { structure: padding };
}

/** An empty file whose name says that something below is gone. */
function mark(name: BytePath, stat: FileStat): PackedPart {
  const { mtimeNano } = stat;
  const entry = { ...plain, kind: "file", name, mode: 0o600, mtimeNano: wholeSeconds(mtimeNano) } as const;
  return { structure: encodeEntry(entry) };
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

function entryOf(tree: Beneath, path: BytePath, name: BytePath, kind: TarKind, stat: FileStat): TarEntry {
  const device = kind === "character" || kind === "block";
  return {
    kind,
    name,
    linkName: kind === "symlink" ? tree.readLink(path) : root,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    sizeBytes: kind === "file" ? stat.sizeBytes : 0,
    mtimeNano: wholeSeconds(stat.mtimeNano),
    major: device ? stat.major : 0,
    minor: device ? stat.minor : 0,
    xattrs: kind === "link" ? plain.xattrs : attributesOf(tree, path),
  };
}

/** As Docker's layers have them: finer times would need an extended header for every file. */
function wholeSeconds(nano: bigint): bigint {
  return nano - (((nano % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n);
}

function attributesOf(tree: Beneath, path: BytePath): ReadonlyMap<string, Uint8Array> {
  const names = tree.listXattrs(path).filter((name) => !isHousekeeping(name));
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
  return new FileStretch(tree.open(path, openFlag.read | openFlag.noFollow), { offset, lengthBytes: length });
}
