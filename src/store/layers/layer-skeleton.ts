/**
 * Places that every container's file system needs as mount points. They come in a layer of their own between the image
 * and the container's changes, holding only what the image lacks: so that making them is no change of the container.
 */
import { mkdirSync } from "node:fs";
import { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, bytePath, parentPath } from "#kernel/files/byte-path.ts";
import { closeDescriptor, openFlag } from "#kernel/files/files-at.ts";
import type { LowerTree } from "#store/trees/lower-tree.ts";
import { isDirectory } from "#store/trees/overlay-marks.ts";

export type SkeletonEntry =
  | { readonly path: string; readonly kind: "directory" | "file" }
  | { readonly path: string; readonly kind: "symlink"; readonly target: string };

/** As dockerd's init layer has them. */
export const containerSkeleton: readonly SkeletonEntry[] = [
  { path: "dev/pts", kind: "directory" },
  { path: "dev/shm", kind: "directory" },
  { path: "proc", kind: "directory" },
  { path: "sys", kind: "directory" },
  { path: ".dockerenv", kind: "file" },
  { path: "etc/resolv.conf", kind: "file" },
  { path: "etc/hosts", kind: "file" },
  { path: "etc/hostname", kind: "file" },
  { path: "dev/console", kind: "file" },
  { path: "etc/mtab", kind: "symlink", target: "/proc/mounts" },
];

/** Makes `directory`, which must not exist, with what `lower` lacks; its directories look like those below. */
export function makeSkeleton(
  directory: string,
  lower: LowerTree,
  entries: readonly SkeletonEntry[] = containerSkeleton,
): void {
  mkdirSync(directory, { mode: 0o755 });
  using tree = Beneath.open(directory);
  copyLook(tree, lower, "" as BytePath);
  for (const entry of entries) {
    const path = bytePath(entry.path);
    if (lower.lookup(path) !== undefined || !makeParents(tree, lower, parentPath(path))) continue;
    if (entry.kind === "directory") makeParents(tree, lower, path);
    else if (entry.kind === "symlink") tree.symlink(bytePath(entry.target), path);
    else closeDescriptor(tree.open(path, openFlag.write | openFlag.create | openFlag.exclusive, 0o755));
  }
}

/** False when something that is no directory is in the way: the image wants it so. */
function makeParents(tree: Beneath, lower: LowerTree, path: BytePath): boolean {
  if (path === "") return true;
  if (tree.stat(path) !== undefined) return isDirectory(tree.stat(path));
  if (!makeParents(tree, lower, parentPath(path))) return false;
  const below = lower.lookup(path)?.stat;
  if (below !== undefined && !isDirectory(below)) return false;
  tree.makeDirectory(path, 0o755);
  copyLook(tree, lower, path);
  return true;
}

function copyLook(tree: Beneath, lower: LowerTree, path: BytePath): void {
  const below = lower.lookup(path)?.stat;
  if (below === undefined) return;
  tree.chown(path, below.uid, below.gid);
  tree.chmod(path, below.mode & 0o7777);
  tree.setTimes(path, below.mtimeNano);
}
