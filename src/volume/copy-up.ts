/** An image's files at a volume's place, into the volume when it is new and empty. */
import { readdirSync, statSync } from "node:fs";
import { Beneath } from "#kernel/beneath.ts";
import { bytePath, cleanBytePath } from "#kernel/byte-path.ts";
import { closeDescriptor, openAt, openFlag } from "#kernel/files-at.ts";
import { Errno } from "#kernel/libc.ts";
import { copyTree } from "#store/copy-tree.ts";

const currentDirectory = -100;

/** Owner, mode and content. Links in the container's path stay in its root. Nothing there is nothing to copy. */
export async function copyUp(
  rootfs: string,
  destination: string,
  volume: string,
  o: { readonly signal: AbortSignal },
): Promise<void> {
  const path = cleanBytePath(destination);
  if (path === undefined || !statSync(volume).isDirectory() || readdirSync(volume).length > 0) return;
  using root = Beneath.open(rootfs);
  let source: number;
  try {
    source = root.open(path, openFlag.read | openFlag.directory);
  } catch (error) {
    if (error instanceof Errno && (error.code === "ENOENT" || error.code === "ENOTDIR")) return;
    throw error;
  }
  try {
    const target = openAt(currentDirectory, bytePath(volume), openFlag.read | openFlag.directory);
    try {
      await copyTree(source, target, o);
    } finally {
      closeDescriptor(target);
    }
  } finally {
    closeDescriptor(source);
  }
}
