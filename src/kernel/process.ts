/** Processes of this machine, addressed so that a number used again is not mistaken for the process it once was. */
import { readdirSync, readFileSync } from "node:fs";

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

/** Pids of every process of this machine that this one can see. */
export function allPids(): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid));
}

/** The program and its arguments, NUL between them; empty for a process that is gone or a kernel thread. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}

/** The session a process is of (setsid(2)), by the pid of who began it; undefined when there is no such process. */
export function sessionOf(pid: number): number | undefined {
  const session = statFields(pid)?.[3];
  return session === undefined ? undefined : Number(session);
}

/**
 * The living processes of a session and below `first`, whatever session these are of. `first` itself may be gone, but its
 * number must not be another's.
 */
export function sessionTree(first: ProcessIdentity, session: number | undefined): ProcessIdentity[] {
  const now = identify(first.pid);
  if (now !== undefined && now.startTicks !== first.startTicks) return [];
  const seen = allPids().map((pid) => ({ pid, fields: statFields(pid) }));
  const members = new Set([first.pid]);
  for (let before = 0; before !== members.size; ) {
    before = members.size;
    for (const { pid, fields } of seen)
      if (members.has(Number(fields?.[1])) || Number(fields?.[3]) === session) members.add(pid);
  }
  return [...members].map(identify).filter((found) => found !== undefined);
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
