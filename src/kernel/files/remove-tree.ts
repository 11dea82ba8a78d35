/**
 * Removing directory trees of any depth with few descriptors, never through a link.
 */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { Errno } from "#kernel/libc.ts";
import type { BytePath } from "./byte-path.ts";
import {
  closeDescriptor,
  descriptorPath,
  listDescriptor,
  listDirectories,
  openAt,
  openFlag,
  removeAt,
  renameAt,
} from "./files-at.ts";

/** A directory with nothing in it but files. */
export interface FlatDirectory {
  /** An open descriptor, until the generator goes on. */
  readonly parent: number;
  readonly name: BytePath;
}

/**
 * Removes `name` in the open directory, whatever it is; nothing there is no error. Yields every directory once nothing but
 * files is in it, which the caller removes before it goes on. Directories are moved up to the top before that: a tree may
 * be deeper than any path.
 */
export function* removingTree(directory: number, name: BytePath): Generator<FlatDirectory> {
  if (removeFile(directory, name)) return;
  const top = openDirectory(directory, name);
  try {
    const prefix = randomBytes(8).toString("hex");
    let moved = 0;
    const pending = listDirectories(top);
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const fd = openDirectory(top, next);
      try {
        for (const child of listDirectories(fd)) {
          const up = `${prefix}-${++moved}` as BytePath;
          if (moveUp(fd, child, top, up)) pending.push(up);
          else yield* removingTree(fd, child);
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

/** The same at once. */
export function removeTreeAt(directory: number, name: BytePath): void {
  for (const flat of removingTree(directory, name)) for (const _ of removingFlat(flat));
}

/** Yields after every file, so that the caller can pause. */
export function* removingFlat({ parent, name }: FlatDirectory): Generator<void> {
  const fd = openDirectory(parent, name);
  try {
    for (const child of listDescriptor(fd)) {
      removeFile(fd, child);
      yield;
    }
  } finally {
    closeDescriptor(fd);
  }
  removeAt(parent, name, true);
}

/** By a thread of the pool: where a journal or a disk is waited for, a file takes a millisecond, a directory several. */
export async function removeFlatAside({ parent, name }: FlatDirectory): Promise<void> {
  await rm(Buffer.from(`${descriptorPath(parent)}/${name}`, "latin1"), { recursive: true, force: true });
}

function openDirectory(parent: number, name: BytePath): number {
  return openAt(parent, name, openFlag.read | openFlag.directory | openFlag.noFollow);
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
