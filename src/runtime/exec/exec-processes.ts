/** The processes of an exec: the one that was asked for and what it started, as far as they can be told. */
import { identify, parentOf, sendSignal, sessionOf, sessionTree } from "#kernel/process.ts";

export const sigkill = 9;
/** A process may start others while it is looked for: looked again this often, this far apart. */
const killRounds = 50;
const killPauseMs = 5;

/**
 * What signals the exec whose first process has this pid now: that process, its session, and everything below it. What
 * left both is the container's. SIGKILL is repeated until none is left.
 */
export function signaller(pid: number): (signal: number) => Promise<void> {
  const first = identify(pid);
  const session = ownSession(pid);
  return async (signal) => {
    for (let round = 0; round < killRounds && first !== undefined; round++) {
      const targets = sessionTree(first, session);
      for (const target of targets) sendSignal(target, signal);
      if (signal !== sigkill || targets.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, killPauseMs));
    }
  };
}

/** Undefined for one it shares with who started it: others would be in it. */
function ownSession(pid: number): number | undefined {
  const session = sessionOf(pid);
  const parent = parentOf(pid);
  return session === 0 || parent === undefined || session === sessionOf(parent) ? undefined : session;
}
