/** The end of every process of one run: the container's, those it left, its execs' and conmon's. */
import type { CgroupLayout } from "#kernel/cgroups/cgroup.ts";
import { processesOf } from "#kernel/cgroups/cgroup.ts";
import { sendSignal } from "#kernel/process.ts";
import { Fault } from "#spec/fault.ts";
import type { ExitFiles } from "./exit-files.ts";
import { execConmons, runProcesses } from "./run-directory.ts";

const sigkill = 9;
/** How long processes of a deleted container may take to die, and between looks. */
const killRounds = 200;
const killPauseMs = 10;
/** In which the conmon of a dead exec tells of it, if it can. */
const execGraceRounds = 3;

export interface RunToKill {
  readonly directory: string;
  readonly group: string;
  readonly cgroups: CgroupLayout;
  readonly exits: ExitFiles;
}

/** Returns when nothing lives. Idempotent. @throws Fault `timeout` for processes that the kernel does not let die. */
export async function killAll(id: string, { directory, group, cgroups, exits }: RunToKill): Promise<void> {
  for (let round = 0; round < killRounds; round++) {
    const { first, conmon } = runProcesses(directory, id);
    const pids = await processesOf(cgroups, group);
    const ofExecs = execConmons(directory, id);
    if (first === undefined && pids.length === 0 && ofExecs.length === 0) {
      // Having written how the container ended, it does nothing more but end.
      if (conmon === undefined || (await exits.read(id)) !== undefined) return;
      if (round > killRounds / 2) sendSignal(conmon, sigkill);
    }
    if (first !== undefined) sendSignal(first, sigkill);
    for (const pid of pids) killPid(pid);
    // Blocked by a client that reads nothing, one would never take leave of its dead child.
    if (round >= execGraceRounds) for (const each of ofExecs) sendSignal(each, sigkill);
    await new Promise((resolve) => setTimeout(resolve, killPauseMs));
  }
  throw new Fault(
    "timeout",
    `processes of container ${id} do not end: they may wait for a device or a dead file server`,
  );
}

function killPid(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}
