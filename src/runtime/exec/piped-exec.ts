/**
 * An exec on pipes, with crun as its parent: nothing else is between it and the engine.
 * Owns: a directory with the pipes' names. Promises: the process goes on without the engine, since it holds both ends of
 * what it writes to; an engine that comes back finds the pipes by name and reads on.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFifo } from "#kernel/files/fifo.ts";
import { encodeSpec } from "#runtime/bundle/bundle.ts";
import { startFailure } from "#runtime/conmon/failure.ts";
import { type LowLevel, logArg, runtimeSaid } from "#runtime/conmon/low-level.ts";
import { ExecInput } from "./exec-input.ts";
import { ExecOutput, type OutputFrame, type OutputPipe } from "./exec-output.ts";
import { signaller } from "./exec-processes.ts";
import { type ExecOrder, exitHome, type RunningExec } from "./running-exec.ts";

const names = {
  process: "process.json",
  /** Through which crun tells the pid. */
  started: "started",
} as const;

/** Waits for what it is called with, and writes down how that ended, for an engine that was not there. */
const keepCode = '"$@"; code=$?; echo $code >"$0"; exit $code';
const shell = "/bin/sh";

/** A writer that is its own reader never meets a pipe without one. */
const bothEnds = constants.O_RDWR;
const readEnd = constants.O_RDONLY | constants.O_NONBLOCK;
const writeEnd = constants.O_WRONLY | constants.O_NONBLOCK;
/** Of a process that was killed together with its parent. */
const killedExitCode = 137;

/** @throws Fault with `detail.exitCode` when the command cannot be started; nothing is left then. */
export async function runPiped(runtime: LowLevel, o: ExecOrder): Promise<RunningExec> {
  const { directory } = o;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await using undo = new AsyncDisposableStack();
  undo.defer(async () => await rm(directory, { recursive: true, force: true }));
  if (isUnheard(o)) await mkdir(join(directory, exitHome), { mode: 0o700 });
  await writeFile(join(directory, names.process), encodeSpec(o.process), { mode: 0o600 });
  using theirs = new DisposableStack();
  using ours = new DisposableStack();
  const { stdio, outputs, input } = openStreams(o, ours, theirs);
  const started = new StartedPipe(join(directory, names.started));
  const exited = startCrun(runtime, o, stdio);
  exited.then(
    () => started.close(),
    () => started.close(),
  );
  const pid = await started.pid();
  if (pid === undefined) {
    await exited;
    throw startFailure("exec", await runtimeSaid(directory), o.process.args[0] ?? "");
  }
  ours.move();
  undo.move();
  return running(o, pid, exited, {
    output: new ExecOutput(outputs),
    input: input === undefined ? undefined : new ExecInput(input),
  });
}

/**
 * Of a detached exec, its end is all that can be asked for: also of an engine that did not see it. That takes a process
 * more, a seventh of an exec's time, which those who hear its streams, and lose them with the engine, do not pay.
 */
function isUnheard({ streams }: ExecOrder): boolean {
  return !streams.stdin && !streams.stdout && !streams.stderr;
}

type Stdio = (number | "ignore")[];

/** The ends of both sides; each closes with its stack. */
function openStreams(
  { directory, streams }: ExecOrder,
  ours: DisposableStack,
  theirs: DisposableStack,
): { readonly stdio: Stdio; readonly outputs: OutputPipe[]; readonly input: number | undefined } {
  const open = (path: string, flags: number, owner: DisposableStack): number => {
    const fd = openSync(path, flags);
    owner.defer(() => closeSync(fd));
    return fd;
  };
  const outputs = (["stdout", "stderr"] as const)
    .filter((stream) => streams[stream])
    .map((stream) => {
      const path = join(directory, stream);
      makeFifo(path);
      return { stream, fd: open(path, readEnd, ours), theirs: open(path, bothEnds, theirs) };
    });
  const end = (stream: OutputFrame["stream"]): number | "ignore" =>
    outputs.find((each) => each.stream === stream)?.theirs ?? "ignore";
  const stdio: Stdio = ["ignore", end("stdout"), end("stderr")];
  if (!streams.stdin) return { stdio, outputs, input: undefined };
  const path = join(directory, "stdin");
  makeFifo(path);
  // Either end alone would wait for the other.
  using opening = new DisposableStack();
  open(path, bothEnds, opening);
  stdio[0] = open(path, constants.O_RDONLY, theirs);
  return { stdio, outputs, input: open(path, writeEnd, ours) };
}

/** Where crun writes the pid once the process is ready; its end without a word is a failure. */
class StartedPipe {
  readonly #read: number;
  readonly #write: number;
  #closed = false;

  constructor(path: string) {
    makeFifo(path);
    this.#read = openSync(path, readEnd);
    // Held so that there is no end before there was a beginning.
    this.#write = openSync(path, writeEnd);
  }

  /** Nobody will write any more. Idempotent. */
  close(): void {
    if (!this.#closed) closeSync(this.#write);
    this.#closed = true;
  }

  /** Undefined when it was closed first. */
  async pid(): Promise<number | undefined> {
    const reader = Bun.file(this.#read).stream().getReader();
    try {
      const { value } = await reader.read();
      return value === undefined ? undefined : Number(Buffer.from(value).toString("latin1"));
    } finally {
      await reader.cancel().catch(() => undefined);
      closeSync(this.#read);
    }
  }
}

/** Resolves with the exit code of the process, which is crun's too. */
function startCrun(runtime: LowLevel, o: ExecOrder, stdio: Stdio): Promise<number> {
  const { directory, containerId } = o;
  const at = (name: string): string => join(directory, name);
  const words = [
    ...runtime.entering,
    ...[`--root=${runtime.root}`, logArg(directory), "exec"],
    ...["--process", at(names.process), "--pid-file", at(names.started), containerId],
  ];
  const [program = "", ...args] = isUnheard(o)
    ? [shell, "-c", keepCode, join(directory, exitHome, "code"), ...words]
    : words;
  // Of a session of its own: signals to the engine are not for it.
  const child = spawn(program, args, { stdio, detached: true, env: {}, cwd: "/" });
  return once(child, "exit").then(([code]) => (code as number | null) ?? killedExitCode);
}

function running(
  { directory }: ExecOrder,
  pid: number,
  exited: Promise<number>,
  streams: { readonly output: ExecOutput; readonly input: ExecInput | undefined },
): RunningExec {
  const { output, input } = streams;
  const release = async (): Promise<void> => {
    await Promise.all([output.ended, input?.end()]);
    await rm(directory, { recursive: true, force: true });
  };
  const exit = exited.then((exitCode) => {
    output.processEnded();
    release().catch(() => undefined);
    return exitCode;
  });
  return {
    pid,
    output: output.frames(),
    input,
    exit,
    [Symbol.asyncDispose]: async () => output.drop(),
    // As dockerd: without a terminal there is no window, and no harm in asking.
    resize: async () => undefined,
    kill: signaller(pid),
  };
}
