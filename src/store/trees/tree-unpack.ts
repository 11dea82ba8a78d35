/**
 * Archives into a tree of files that is in use, as `docker cp` writes into a container.
 * Promises: nothing is written outside of the tree, nor outside of the directory given except through links that were in
 * the tree; a mount point is never removed, nor anything below it to make room.
 */
import { type BytePath, cleanBytePath, joinPath, pathText } from "#kernel/files/byte-path.ts";
import type { MountedTree } from "#kernel/files/mounted-tree.ts";
import { removeTreeAt } from "#kernel/files/remove-tree.ts";
import { Errno } from "#kernel/libc.ts";
import { Fault } from "#spec/fault.ts";
import { explainFull } from "#store/disk-full.ts";
import type { TarEntry } from "#store/tar/tar-entry.ts";
import { TarReader } from "#store/tar/tar-reader.ts";
import { isDirectory } from "./overlay-marks.ts";
import { pumpTar, TreeWriter } from "./unpack.ts";

export interface TreeUnpackOptions {
  /** An existing directory in the tree, without links. */
  readonly directory: BytePath;
  /** Refuses to put a file in place of a directory, or a directory in place of a file. */
  readonly keepKinds: boolean;
  /** Whose everything becomes; absent: the archive's. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Unpacks a plain tar. Takes over the tree. A failure leaves what was unpacked so far.
 * @throws Fault `invalid` for a damaged or hostile archive, `denied` for what is read-only, `conflict` for a mount point
 * in the way, `unavailable` for a full disk; an error of `tar` as it is.
 */
export async function unpackIntoTree(
  tar: AsyncIterable<Uint8Array>,
  tree: MountedTree,
  o: TreeUnpackOptions,
): Promise<void> {
  using writer = new TreeWriter(tree, {
    special: (entry, path) => isDone(tree, entry, path, o),
    displace: (path) => {
      if (tree.holdsPart(path)) throw inUse(path);
      removeTreeAt(...tree.parent(path));
    },
  });
  const reader = new TarReader({
    entry: (entry) => writer.entry(placed(entry, o)),
    content: (bytes, offset) => writer.content(bytes, offset),
    endEntry: () => writer.endEntry(),
  });
  let [bytes, ended] = [0, false];
  async function* followed(): AsyncGenerator<Uint8Array> {
    for await (const part of tar) {
      bytes += part.length;
      yield part;
    }
    ended = true;
  }
  try {
    await pumpTar(followed(), reader, { signal: o.signal });
    writer.end();
  } catch (error) {
    // As dockerd has it: no archive at all is one with nothing in it.
    if (ended && bytes === 0 && error instanceof Fault) return;
    throw inDockersWords(explainFull(error, "the container's file system"));
  }
}

/** The entry as one of the whole tree. */
function placed(entry: TarEntry, o: TreeUnpackOptions): TarEntry {
  const name = within(entry.name, o.directory);
  const linkName = entry.kind === "link" ? within(entry.linkName, o.directory) : entry.linkName;
  return { ...entry, name, linkName, ...o.owner };
}

function within(name: BytePath, directory: BytePath): BytePath {
  const clean = cleanBytePath(name);
  if (clean === undefined)
    throw new Fault("invalid", `${JSON.stringify(pathText(name))} is outside of "/${pathText(directory)}"`);
  return clean === "" ? directory : joinPath(directory, clean);
}

/** True for what stays as it is: the directory itself. */
function isDone(tree: MountedTree, entry: TarEntry, path: BytePath, o: TreeUnpackOptions): boolean {
  const isDirectoryEntry = entry.kind === "directory";
  if (path === o.directory) {
    if (isDirectoryEntry) return true;
    throw new Fault("invalid", `the archive would replace the directory "/${pathText(path)}" by a file`);
  }
  if (!isDirectoryEntry && tree.isPart(path)) throw inUse(path);
  if (o.keepKinds) checkKind(tree, path, isDirectoryEntry, o.directory);
  return false;
}

function checkKind(tree: MountedTree, path: BytePath, wantsDirectory: boolean, directory: BytePath): void {
  const here = tree.stat(path);
  if (here === undefined || isDirectory(here) === wantsDirectory) return;
  const [was, is] = wantsDirectory ? ["non-directory", "directory"] : ["directory", "non-directory"];
  throw new Fault(
    "invalid",
    `cannot overwrite ${was} "/${pathText(path)}" with ${is} "/${pathText(directory)}"`,
  );
}

function inUse(path: BytePath): Fault {
  return new Fault("conflict", `unlinkat /${pathText(path)}: device or resource busy`);
}

function inDockersWords(error: unknown): unknown {
  if (!(error instanceof Errno)) return error;
  if (error.code === "EROFS")
    return new Fault("denied", `${error.message.replace(/: EROFS$/, "")}: read-only file system`, {
      cause: error,
    });
  if (error.code === "EBUSY")
    return new Fault("conflict", `${error.message.replace(/: EBUSY$/, "")}: device or resource busy`, {
      cause: error,
    });
  return error;
}
