/**
 * Removing directory trees of any depth with few descriptors, never through a link.
 */
import { randomBytes } from "node:crypto";
import { rmdir } from "node:fs/promises";
import type { BytePath } from "./byte-path.ts";
import {
  closeDescriptor,
  descriptorPath,
  listDescriptor,
  openAt,
  openFlag,
  removeAt,
  renameAt,
} from "./files-at.ts";
import { Errno } from "./libc.ts";

/** A directory with nothing in it. */
export interface EmptyDirectory {
  /** An open descriptor, until the generator goes on. */
  readonly parent: number;
  readonly name: BytePath;
}

/**
 * Removes `name` in the open directory, whatever it is; nothing there is no error. Yields after every file, so that the
 * caller can pause, and every directory once it is empty, which the caller removes before it goes on. Directories are moved
 * up to the top before they are emptied: a tree may be deeper than any path.
 */
export function* removingTree(directory: number, name: BytePath): Generator<EmptyDirectory | undefined> {
  if (removeFile(directory, name)) return;
  const top = openAt(directory, name, openFlag.read | openFlag.directory | openFlag.noFollow);
  try {
    const prefix = randomBytes(8).toString("hex");
    let moved = 0;
    const pending: BytePath[] = [];
    for (const child of listDescriptor(top)) {
      if (!removeFile(top, child)) pending.push(child);
      yield;
    }
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const fd = openAt(top, next, openFlag.read | openFlag.directory | openFlag.noFollow);
      try {
        for (const child of listDescriptor(fd)) {
          if (!removeFile(fd, child)) {
            const up = `${prefix}-${++moved}` as BytePath;
            if (moveUp(fd, child, top, up)) pending.push(up);
            else yield* removingTree(fd, child);
          }
          yield;
        }
      } finally {
        closeDescriptor(fd);
      }
      yield { parent: top, name: next };
    }
  } finally {
    closeDescriptor(top);
  }
  yield { parent: directory, name };
}

/** The same without pauses. */
export function removeTreeAt(directory: number, name: BytePath): void {
  for (const empty of removingTree(directory, name))
    if (empty !== undefined) removeAt(empty.parent, empty.name, true);
}

/** Aside, by the thread pool: journalling file systems take as long for one directory as for twenty files, or wait for a disk. */
export async function removeEmpty({ parent, name }: EmptyDirectory): Promise<void> {
  await rmdir(Buffer.from(`${descriptorPath(parent)}/${name}`, "latin1"));
}

/** False for a directory. */
function removeFile(directory: number, name: BytePath): boolean {
  try {
    removeAt(directory, name, false);
    return true;
  } catch (error) {
    if (!(error instanceof Errno) || !["ENOENT", "EISDIR"].includes(error.code)) throw error;
    return error.code === "ENOENT";
  }
}

/** False where directories cannot be renamed: those of an overlay's lower layers. */
function moveUp(from: number, name: BytePath, top: number, to: BytePath): boolean {
  try {
    renameAt(from, name, top, to);
    return true;
  } catch (error) {
    if (error instanceof Errno && error.code === "EXDEV") return false;
    throw error;
  }
}
