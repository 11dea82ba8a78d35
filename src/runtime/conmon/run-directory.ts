/** What one run of a container leaves in its directory, and who of it still lives. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { commandLine, identify, type ProcessIdentity, parentOf } from "#kernel/process.ts";
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

/** Where the directories of execs are, and of those that must not outlive the engine. */
export const execHomes = { exec: "execs", probe: "probes" } as const;

/** The conmons of execs in this run that still live. */
export function execConmons(directory: string, id: string): ProcessIdentity[] {
  return Object.values(execHomes).flatMap((home) => conmonsIn(join(directory, home), id));
}

function conmonsIn(execs: string, id: string): ProcessIdentity[] {
  if (!existsSync(execs)) return [];
  return readdirSync(execs)
    .map((name) => readPid(join(execs, name, conmonFiles.conmonPid)))
    .filter((pid) => pid !== undefined && commandLine(pid).includes(id))
    .map((pid) => identify(pid ?? 0))
    .filter((found) => found !== undefined);
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "latin1"));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** conmon may still be making its own files in a directory when that is no longer needed. */
const removeAttemptsMax = 20;
const removePauseMs = 10;

/** Removes a directory that a conmon which is about to end was called with. Idempotent. */
export async function removeStubborn(directory: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await rm(directory, { recursive: true, force: true });
      if (!existsSync(directory)) return;
    } catch (error) {
      if (attempt >= removeAttemptsMax) throw error;
    }
    if (attempt >= removeAttemptsMax) return;
    await new Promise((resolve) => setTimeout(resolve, removePauseMs));
  }
}
