/** What the runtime reads and makes in a container's root file system, never leaving it. */
import { Beneath } from "#kernel/files/beneath.ts";
import { bytePath, cleanBytePath } from "#kernel/files/byte-path.ts";
import {
  closeDescriptor,
  fileKind,
  openFlag,
  readInto,
  reopen,
  statDescriptor,
} from "#kernel/files/files-at.ts";
import type { Tree } from "#kernel/files/tree.ts";
import { Errno } from "#kernel/libc.ts";
import { Fault } from "#spec/fault.ts";
import type { UserFiles } from "./user.ts";

/** Of passwd and group; more is not read. */
const fileBytesMax = 4 << 20;

export function readUserFiles(root: Tree): UserFiles {
  return { passwd: readText(root, "etc/passwd"), group: readText(root, "etc/group") };
}

/** Empty when there is no such regular file. */
function readText(root: Tree, path: string): string {
  let fd: number;
  try {
    fd = openRegular(root, path);
  } catch (error) {
    if (error instanceof Errno) return "";
    throw error;
  }
  try {
    const parts: Buffer[] = [];
    let total = 0;
    while (total < fileBytesMax) {
      const buffer = Buffer.allocUnsafeSlow(64 << 10);
      const got = readInto(fd, buffer);
      if (got === 0) break;
      parts.push(buffer.subarray(0, got));
      total += got;
    }
    const text = Buffer.concat(parts).toString("utf8");
    // Half a line would be another user's, or another number.
    return total < fileBytesMax ? text : text.slice(0, text.lastIndexOf("\n") + 1);
  } catch (error) {
    if (error instanceof Errno) return "";
    throw error;
  } finally {
    closeDescriptor(fd);
  }
}

/** An image may have a device or a pipe in a file's place: what it is, is looked at before it is opened. */
function openRegular(root: Tree, path: string): number {
  const handle = root.open(bytePath(path), openFlag.path);
  try {
    if ((statDescriptor(handle).mode & fileKind.mask) !== fileKind.file) throw new Errno(invalid, path);
    return reopen(handle);
  } finally {
    closeDescriptor(handle);
  }
}
const invalid = 22;

/** The directory a process starts in, made when the image lacks it, as dockerd does. @throws Fault `invalid`. */
export function ensureWorkingDirectory(root: Beneath, path: string): void {
  const clean = cleanBytePath(path);
  if (clean === undefined || !path.startsWith("/"))
    throw new Fault("invalid", `the working directory '${path}' is invalid, it needs to be an absolute path`);
  if (clean === "") return;
  try {
    root.makeDirectories(clean, 0o755);
  } catch (error) {
    if (!(error instanceof Errno) || (error.code !== "ENOTDIR" && error.code !== "EEXIST")) throw error;
    throw new Fault("invalid", `Cannot mkdir: ${path} is not a directory`, { cause: error });
  }
}

export function openRoot(path: string): Beneath {
  return Beneath.open(path);
}
