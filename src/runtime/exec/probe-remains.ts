/** Probes of an engine that died: nobody reads what they say, and nobody would ever kill one that hangs. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { allPids, commandLine } from "#kernel/process.ts";
import { execHomes } from "#runtime/conmon/run-directory.ts";
import { sigkill, signaller } from "./exec-processes.ts";

/** Kills those of the runs in these directories. Idempotent. */
export async function endProbes(runs: readonly string[]): Promise<void> {
  const left = runs.map((directory) => join(directory, execHomes.probe)).filter((home) => existsSync(home));
  if (left.length === 0) return;
  // Their parents, crun or conmon, are called with files in there.
  const parents = allPids().filter((pid) => {
    const words = commandLine(pid);
    return left.some((home) => words.includes(`${home}/`));
  });
  await Promise.all(parents.map(async (pid) => await signaller(pid)(sigkill)));
  await Promise.all(left.map(async (home) => await rm(home, { recursive: true, force: true })));
}
