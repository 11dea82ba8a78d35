/** Processes of this machine, addressed so that a number used again is not mistaken for the process it once was. */
import { readFileSync } from "node:fs";

/** A process for good: the pid, and when it began in clock ticks since boot. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: number;
}

/** The pid of a process's parent; undefined when there is no such process. */
export function parentOf(pid: number): number | undefined {
  const parent = statFields(pid)?.[1];
  return parent === undefined ? undefined : Number(parent);
}

/** Undefined when there is no such process, or only its remains (a zombie). */
export function identify(pid: number): ProcessIdentity | undefined {
  const fields = statFields(pid);
  if (fields === undefined || fields[0] === "Z" || fields[0] === "X") return undefined;
  return { pid, startTicks: Number(fields[19]) };
}

/** From the state on (proc_pid_stat(5)); the name before it, in parentheses, may hold anything. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTicks === process.startTicks;
}

/** False when the process is gone already. */
export function sendSignal(target: ProcessIdentity, signal: number): boolean {
  if (!isAlive(target)) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}
