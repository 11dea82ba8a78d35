/**
 * Paths of people into a tree of files, read as Docker's `cp` reads them: always from the root, `..` taken from the text,
 * a slash or `/.` at the end asking for a directory.
 */
import {
  type BytePath,
  bytePath,
  joinPath,
  lastName,
  parentPath,
  pathText,
} from "#kernel/files/byte-path.ts";
import {
  closeDescriptor,
  type FileStat,
  fileKind,
  openFlag,
  statDescriptor,
} from "#kernel/files/files-at.ts";
import type { MountedTree } from "#kernel/files/mounted-tree.ts";
import { isMissing } from "#kernel/files/tree.ts";
import { Errno } from "#kernel/libc.ts";
import { Fault } from "#spec/fault.ts";
import { formatRfc3339 } from "#spec/unix-time.ts";
import { HeldFile } from "./mutable-file.ts";
import { isDirectory } from "./overlay-marks.ts";

export interface TreePath {
  /** From the root, without a slash at the end; empty for the root. */
  readonly path: BytePath;
  /** What Go's `filepath.Base` says: `.` for `x/.`, `/` for the root. */
  readonly name: BytePath;
  /** A link at the end is followed, and anything but a directory is an error. */
  readonly wantsDirectory: boolean;
}

/** @throws Fault `invalid` for a NUL. */
export function parseTreePath(text: string): TreePath {
  const parts: string[] = [];
  for (const part of bytePath(text).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const path = parts.join("/") as BytePath;
  const wantsHere = /(?:^|\/)\.\/*$/.test(text);
  const wantsDirectory = wantsHere || text.endsWith("/") || path === "";
  const name = wantsHere ? "." : path === "" ? "/" : lastName(path);
  return { path, name: name as BytePath, wantsDirectory };
}

/** What Docker tells of a path in a container. */
export interface PathDescription {
  readonly name: string;
  readonly sizeBytes: number;
  /** In the bits of Go's `fs.FileMode`. */
  readonly goMode: number;
  /** RFC 3339. */
  readonly mtime: string;
  /** Absolute; empty unless the path is a link. */
  readonly linkTarget: string;
}

export function describePath({ path, stat, target }: PathStat): PathDescription {
  return {
    name: pathText(path.name),
    sizeBytes: stat.sizeBytes,
    goMode: goFileMode(stat.mode),
    mtime: formatRfc3339(stat.mtimeNano).replace(/\.?0+Z$/, "Z"),
    linkTarget: target === undefined ? "" : `/${pathText(target)}`,
  };
}

export interface PathStat {
  readonly path: TreePath;
  readonly stat: FileStat;
  /** The path in the tree that was looked at, no link at its end. */
  readonly place: BytePath;
  /** Where a link leads, from the root, as far as there is something. */
  readonly target?: BytePath;
}

/** Undefined when there is nothing. @throws Fault `invalid` in Docker's words for a file that should be a directory. */
export function statTreePath(tree: MountedTree, text: string): PathStat | undefined {
  const path = parseTreePath(text);
  try {
    if (path.wantsDirectory) {
      const stat = statFollowed(tree, path.path);
      if (!isDirectory(stat)) throw new Fault("invalid", `lstat ${text}: not a directory`);
      return { path, stat, place: tree.realPath(path.path) };
    }
    using file = HeldFile.at(tree, path.path);
    if (file === undefined) return undefined;
    const target = file.is("symlink") ? { target: linkTarget(tree, path.path) } : {};
    return { path, stat: file.stat, place: path.path, ...target };
  } catch (error) {
    if (error instanceof Errno && error.code === "ENOENT") return undefined;
    if (isMissing(error)) throw new Fault("invalid", `lstat ${text}: not a directory`, { cause: error });
    throw error;
  }
}

/** Of a link that leads to nothing: what it says, read in its directory. */
function linkTarget(tree: MountedTree, link: BytePath): BytePath {
  const real = tree.realPath(link);
  const stat = tree.stat(real);
  if (stat === undefined || (stat.mode & fileKind.mask) !== fileKind.symlink) return real;
  const said = tree.readLink(real);
  const next = said.startsWith("/") ? said : joinPath(parentPath(real), said);
  return tree.realPath(parseTreePath(pathText(next)).path);
}

function statFollowed(tree: MountedTree, path: BytePath): FileStat {
  const fd = tree.open(path, openFlag.path);
  try {
    return statDescriptor(fd);
  } finally {
    closeDescriptor(fd);
  }
}

/** Where an archive would be unpacked: every link followed. @throws like `statTreePath`, and for what is no directory. */
export function directoryAt(tree: MountedTree, text: string): BytePath | undefined {
  const { path } = parseTreePath(text);
  try {
    if (!isDirectory(statFollowed(tree, path)))
      throw new Fault("invalid", "extraction point is not a directory");
    return tree.realPath(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const goKinds: Readonly<Record<number, number>> = {
  [fileKind.directory]: 2 ** 31,
  [fileKind.symlink]: 2 ** 27,
  [fileKind.block]: 2 ** 26,
  [fileKind.character]: 2 ** 26 + 2 ** 21,
  [fileKind.fifo]: 2 ** 25,
  [fileKind.socket]: 2 ** 24,
};

/** A mode in the bits of Go's `fs.FileMode`. */
export function goFileMode(mode: number): number {
  return (
    (mode & 0o777) +
    (goKinds[mode & fileKind.mask] ?? 0) +
    ((mode & 0o4000) !== 0 ? 2 ** 23 : 0) +
    ((mode & 0o2000) !== 0 ? 2 ** 22 : 0) +
    ((mode & 0o1000) !== 0 ? 2 ** 20 : 0)
  );
}
