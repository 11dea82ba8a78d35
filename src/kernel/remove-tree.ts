/**
 * Removing directory trees of any depth with few descriptors, never through a link.
 */
import { randomBytes } from "node:crypto";
import type { BytePath } from "./byte-path.ts";
import { closeDescriptor, listDescriptor, openAt, openFlag, removeAt, renameAt } from "./files-at.ts";
import { Errno } from "./libc.ts";

/**
 * Removes `name` in the open directory, whatever it is; nothing there is no error. Yields after every file, so that the
 * caller can pause. Directories are moved up to the top before they are emptied: a tree may be deeper than any path.
 */
export function* removingTree(directory: number, name: BytePath): Generator<void> {
  if (removeOne(directory, name)) return;
  const top = openAt(directory, name, openFlag.read | openFlag.directory | openFlag.noFollow);
  try {
    const prefix = randomBytes(8).toString("hex");
    let moved = 0;
    const pending: BytePath[] = [];
    for (const child of listDescriptor(top)) {
      if (!removeOne(top, child)) pending.push(child);
      yield;
    }
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const fd = openAt(top, next, openFlag.read | openFlag.directory | openFlag.noFollow);
      try {
        for (const child of listDescriptor(fd)) {
          if (!removeOne(fd, child)) {
            const up = `${prefix}-${++moved}` as BytePath;
            if (moveUp(fd, child, top, up)) pending.push(up);
            else yield* removingTree(fd, child);
          }
          yield;
        }
      } finally {
        closeDescriptor(fd);
      }
      removeAt(top, next, true);
    }
  } finally {
    closeDescriptor(top);
  }
  removeAt(directory, name, true);
}

/** The same without pauses. */
export function removeTreeAt(directory: number, name: BytePath): void {
  for (const _ of removingTree(directory, name));
}

/** False for a directory that is not empty. */
function removeOne(directory: number, name: BytePath): boolean {
  for (const isDirectory of [false, true]) {
    try {
      removeAt(directory, name, isDirectory);
      return true;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      if (error.code === "ENOENT") return true;
      if (error.code === "ENOTEMPTY" || error.code === "EEXIST") return false;
      if (error.code !== "EISDIR") throw error;
    }
  }
  return false;
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
