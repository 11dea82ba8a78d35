/** What one run of a container leaves in its directory, and who of it still lives. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { identify, type ProcessIdentity, parentOf } from "#kernel/process.ts";
import { conmonFiles } from "./conmon.ts";

export interface RunProcesses {
  /** The first process of the container. */
  readonly first: ProcessIdentity | undefined;
  readonly conmon: ProcessIdentity | undefined;
}

/**
 * Looked up by the pid files, and believed only while they fit together: conmon is called with the container's id, and
 * is the parent of the first process; a number used again for something else fails that.
 */
export function runProcesses(directory: string, id: string): RunProcesses {
  const conmonPid = readPid(join(directory, conmonFiles.conmonPid));
  const isConmon = conmonPid !== undefined && commandLine(conmonPid).includes(id);
  const pid = readPid(join(directory, conmonFiles.pid));
  const isFirst = pid !== undefined && isConmon && parentOf(pid) === conmonPid;
  return {
    first: isFirst ? identify(pid) : undefined,
    conmon: isConmon ? identify(conmonPid) : undefined,
  };
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "latin1"));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}
