/** One more process in a running container. */
import type { LowLevel } from "#runtime/conmon/low-level.ts";
import { runPiped } from "./piped-exec.ts";
import type { ExecOrder, RunningExec } from "./running-exec.ts";
import { runUnderConmon } from "./terminal-exec.ts";

/**
 * crun waits for its child, and with `orphansLeave` for nothing else: it can be the parent, which saves a process between
 * it and the engine. A terminal needs someone to hold it when the engine is gone.
 * @throws Fault with `detail.exitCode` when the command cannot be started; nothing is left then.
 */
export async function runExec(runtime: LowLevel, o: ExecOrder): Promise<RunningExec> {
  const crunCanTell = runtime.name === "crun" && o.orphansLeave && o.process.terminal !== true;
  return crunCanTell ? await runPiped(runtime, o) : await runUnderConmon(runtime, o);
}
