/** A part of a volume or image, named by a path that its own links must not lead out of. */
import { readlinkSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { Beneath } from "#kernel/files/beneath.ts";
import { bytePath } from "#kernel/files/byte-path.ts";
import { closeDescriptor, descriptorPath, openFlag } from "#kernel/files/files-at.ts";
import { Errno } from "#kernel/libc.ts";
import { Fault } from "#spec/fault.ts";

/**
 * A descriptor of what is there, a file or directory; the caller closes it. Links may lead anywhere within `source`, and
 * containers may be changing them meanwhile. @throws Fault in dockerd's words.
 */
export function openPart(source: string, subpath: string): number {
  using root = Beneath.open(source);
  try {
    const fd = root.open(bytePath(subpath), openFlag.path);
    if (leadsThere(fd, join(source, subpath))) return fd;
    closeDescriptor(fd);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    if (!escapes(source, subpath)) throw inaccessible(source, subpath, error);
  }
  throw new Fault(
    "invalid",
    `path concatenation escapes the base directory, base: ${source}, subpath: ${subpath}`,
  );
}

/** False for a link out of the volume, which was followed within it. */
function leadsThere(fd: number, path: string): boolean {
  try {
    return realpathSync(path) === readlinkSync(descriptorPath(fd));
  } catch {
    return false;
  }
}

function escapes(source: string, subpath: string): boolean {
  try {
    return !realpathSync(join(source, subpath)).startsWith(`${realpathSync(source)}/`);
  } catch {
    return false;
  }
}

function inaccessible(source: string, subpath: string, cause: Errno): Fault {
  const path = join(source, subpath);
  const reason = cause.code === "ENOENT" ? "no such file or directory" : cause.code;
  return new Fault("not-found", `cannot access path ${path}: lstat ${path}: ${reason}`, { cause });
}
