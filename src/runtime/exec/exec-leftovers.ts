/**
 * Execs that went on without an engine, found again by what was started for them: the process that waits for an exec was
 * called with the exec's directory.
 */
import { closeSync, constants, openSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { allPids, commandLine, identify, isAlive, type ProcessIdentity, parentOf } from "#kernel/process.ts";
import { resizeConsole } from "#runtime/conmon/control.ts";
import { removeStubborn } from "#runtime/conmon/run-directory.ts";
import { ExecOutput, type OutputPipe } from "./exec-output.ts";
import { signaller } from "./exec-processes.ts";
import { exitHome, type RunningExec } from "./running-exec.ts";

/** How often it is looked whether one that is nobody's child has ended. */
const checkMs = 500;
/** Of one whose exit code nobody was there to hear. */
const lostExitCode = 255;

/**
 * The execs with directories in this one that live, or left word of their end; the directories of others are removed. Their
 * output is thrown away, so that none of them waits. `signal` ends the watching, not the execs.
 */
export async function findExecs(directory: string, signal: AbortSignal): Promise<Map<string, RunningExec>> {
  const found = new Map<string, RunningExec>();
  const ids = await readdir(directory).catch(() => []);
  if (ids.length === 0) return found;
  const keepers = findKeepers(directory);
  for (const id of ids) {
    const keeper = keepers.get(id);
    if (keeper !== undefined) {
      found.set(id, adopt(join(directory, id), keeper, signal));
      continue;
    }
    const code = await exitCodeIn(join(directory, id, exitHome));
    if (code !== undefined) found.set(id, endedExec(code));
    await removeStubborn(join(directory, id));
  }
  return found;
}

interface Keeper {
  readonly identity: ProcessIdentity;
  /** The exec's own process, once there is one. */
  readonly child: number | undefined;
}

/** By exec id, who waits for it: of those called with its directory, the one whose parent was not. */
function findKeepers(directory: string): Map<string, Keeper> {
  const calledWith = new Map<number, string>();
  const children = new Map<number, number[]>();
  for (const pid of allPids()) {
    const parent = parentOf(pid) ?? 0;
    children.set(parent, [...(children.get(parent) ?? []), pid]);
    const line = commandLine(pid);
    const at = line.indexOf(`${directory}/`);
    if (at >= 0) calledWith.set(pid, /^[0-9a-f]*/.exec(line.slice(at + directory.length + 1))?.[0] ?? "");
  }
  const keepers = new Map<string, Keeper>();
  for (const [pid, id] of calledWith) {
    const identity = identify(pid);
    if (identity === undefined || calledWith.get(parentOf(pid) ?? 0) === id) continue;
    keepers.set(id, { identity, child: processOf(pid) });
  }
  return keepers;

  /** Below who waits for it there may be crun, which waits, too. */
  function processOf(keeper: number): number | undefined {
    const below = children.get(keeper) ?? [];
    const waiting = below.find((each) => calledWith.has(each));
    return below.find((each) => !calledWith.has(each)) ?? (waiting && processOf(waiting));
  }
}

/** One that ended while no engine was there. */
function endedExec(exitCode: number): RunningExec {
  return {
    pid: 0,
    output: new ExecOutput([]).frames(),
    exit: Promise.resolve(exitCode),
    [Symbol.asyncDispose]: async () => undefined,
    resize: async () => undefined,
    kill: async () => undefined,
  };
}

function adopt(directory: string, { identity, child }: Keeper, signal: AbortSignal): RunningExec {
  const output = new ExecOutput(openOutputs(directory));
  output.drop();
  const exit = async (): Promise<number> => {
    while (isAlive(identity)) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, checkMs).unref());
    }
    output.processEnded();
    const code = await exitCodeIn(join(directory, exitHome));
    await output.ended;
    await removeStubborn(directory);
    return code ?? lostExitCode;
  };
  return {
    pid: child ?? 0,
    output: output.frames(),
    exit: exit(),
    [Symbol.asyncDispose]: async () => undefined,
    resize: async (size) => await resizeConsole(directory, size),
    kill: signaller(child ?? identity.pid),
  };
}

/** None of an exec under conmon, which throws away itself what nobody reads. */
function openOutputs(directory: string): OutputPipe[] {
  const pipes: OutputPipe[] = [];
  for (const stream of ["stdout", "stderr"] as const) {
    try {
      const fd = openSync(join(directory, stream), constants.O_RDONLY | constants.O_NONBLOCK);
      pipes.push({ stream, fd });
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") continue;
      for (const { fd } of pipes) closeSync(fd);
      throw error;
    }
  }
  return pipes;
}

/** What a conmon or a shell left. */
async function exitCodeIn(directory: string): Promise<number | undefined> {
  const [name] = await readdir(directory).catch(() => []);
  if (name === undefined) return undefined;
  const text = await readFile(join(directory, name), "latin1");
  return /^\d{1,3}\s*$/.test(text) ? Number(text) : undefined;
}
