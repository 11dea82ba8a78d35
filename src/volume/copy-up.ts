/**
 * An image's files at a volume's place, into the volume when it is new and empty.
 * Promises: a volume gets all of them or stays empty, also when the disk is full or the engine dies on the way; only a
 * part of a volume, one with other owners, or one that others have meanwhile is filled where it is.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Beneath } from "#kernel/files/beneath.ts";
import { bytePath, cleanBytePath } from "#kernel/files/byte-path.ts";
import { closeDescriptor, openAt, openFlag } from "#kernel/files/files-at.ts";
import { Errno } from "#kernel/libc.ts";
import { discardTree } from "#store/discard.ts";
import { copyTree } from "#store/trees/copy-tree.ts";

const currentDirectory = -100;

type Fill = (directory: string) => Promise<void>;

export interface CopyUpOptions {
  readonly signal: AbortSignal;
  /** True while nobody else has the volume. */
  readonly alone: () => boolean;
  /** Puts what is filled in the place of what is empty, as a whole; false where it did not. */
  readonly replace?: ((fill: Fill) => Promise<boolean>) | undefined;
}

/** Owner, mode and content. Links in the container's path stay in its root. Nothing there is nothing to copy. */
export async function copyUp(
  rootfs: string,
  destination: string,
  volume: string,
  o: CopyUpOptions,
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
    const fill: Fill = async (directory) => await copyInto(source, directory, o.signal);
    if (o.replace !== undefined && (await o.replace(fill))) return;
    if (readdirSync(volume).length === 0) await inPlace(volume, fill, o);
  } finally {
    closeDescriptor(source);
  }
}

async function copyInto(source: number, directory: string, signal: AbortSignal): Promise<void> {
  const target = openAt(currentDirectory, bytePath(directory), openFlag.read | openFlag.directory);
  try {
    await copyTree(source, target, { signal });
  } finally {
    closeDescriptor(target);
  }
}

/** What fails leaves nothing that would be taken for the whole later. */
async function inPlace(volume: string, fill: Fill, { alone }: CopyUpOptions): Promise<void> {
  try {
    await fill(volume);
  } catch (error) {
    if (alone()) for (const name of readdirSync(volume)) await discardTree(join(volume, name));
    throw error;
  }
}
