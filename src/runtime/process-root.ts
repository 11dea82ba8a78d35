/** The root of a container's first process, to look into. */
import type { BytePath } from "#kernel/files/byte-path.ts";
import { closeDescriptor, openAt, openFlag } from "#kernel/files/files-at.ts";
import { Errno } from "#kernel/libc.ts";
import { isAlive, type ProcessIdentity } from "#kernel/process.ts";

const currentDirectory = -100;

/** A descriptor, the caller's to close; undefined when the process is gone, its number perhaps another's by now. */
export function openProcessRoot(process: ProcessIdentity): number | undefined {
  let fd: number;
  try {
    fd = openAt(
      currentDirectory,
      `/proc/${process.pid}/root` as BytePath,
      openFlag.path | openFlag.directory,
    );
  } catch (error) {
    if (error instanceof Errno) return undefined;
    throw error;
  }
  if (isAlive(process)) return fd;
  closeDescriptor(fd);
  return undefined;
}
