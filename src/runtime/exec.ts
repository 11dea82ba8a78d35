/** One more process in a running container, under a conmon of its own; its streams go through conmon's socket. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { identify, sendSignal } from "#kernel/process.ts";
import type { OciProcess } from "#spec/oci-runtime.ts";
import { encodeSpec } from "./bundle.ts";
import { type Conmon, conmonFiles, startConmon } from "./conmon.ts";
import { type ConsoleFrame, ConsoleSocket } from "./console-socket.ts";
import { type ConsoleSize, resizeConsole } from "./control.ts";
import { startFailure } from "./failure.ts";
import type { LowLevel } from "./low-level.ts";

export interface Input extends AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
}

export interface ExecInput {
  readonly containerId: string;
  readonly execId: string;
  /** Of this exec alone; made here, removed when it ended. */
  readonly directory: string;
  readonly process: OciProcess;
  readonly stdin: boolean;
  readonly size?: ConsoleSize | undefined;
}

/** Disposing lets go of the streams: output is dropped from then on, the process goes on. */
export interface RunningExec extends AsyncDisposable {
  readonly pid: number;
  readonly output: AsyncIterable<ConsoleFrame>;
  readonly input?: Input | undefined;
  /** Settles after the output ended. */
  readonly exit: Promise<number>;
  resize(size: ConsoleSize): Promise<void>;
  kill(): Promise<void>;
}

/** What a shell says of a process that was killed; nobody knows better when conmon is gone. */
const killedExitCode = 137;

/** @throws Fault with `detail.exitCode` when the command cannot be started; nothing is left then. */
export async function runExec(runtime: LowLevel, o: ExecInput): Promise<RunningExec> {
  const { directory, process } = o;
  await mkdir(join(directory, "exit"), { recursive: true, mode: 0o700 });
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => await rm(directory, { recursive: true, force: true }));
  const execSpec = join(directory, "process.json");
  await writeFile(execSpec, encodeSpec(process), { mode: 0o600 });
  const conmon = stack.use(
    await startConmon(runtime, {
      containerId: o.containerId,
      uuid: o.execId,
      directory,
      exitDirectory: join(directory, "exit"),
      logPath: undefined,
      tty: process.terminal === true,
      stdin: o.stdin,
      leaveStdinOpen: false,
      execSpec,
    }),
  );
  await conmon.attachable;
  const socket = stack.use(
    await ConsoleSocket.connect(join(directory, conmonFiles.attach), { output: true }),
  );
  // Waits in the pipe for the terminal, which so has its size from the start.
  if (o.size !== undefined) await resizeConsole(directory, o.size);
  conmon.start();
  const started = await conmon.sync.next();
  if (started === undefined || started.data <= 0)
    throw startFailure("exec", started?.message ?? "", process.args[0] ?? "");
  const first = identify(started.data);
  const held = stack.move();
  return {
    pid: started.data,
    output: socket.output(),
    input: o.stdin ? inputOf(socket) : undefined,
    exit: untilExit(conmon, socket, held),
    [Symbol.asyncDispose]: async () => socket.dropOutput(),
    resize: async (size) => await resizeConsole(directory, size),
    kill: async () => {
      if (first !== undefined) sendSignal(first, 9);
    },
  };
}

function inputOf(socket: ConsoleSocket): Input {
  return {
    write: async (bytes) => await socket.write(bytes),
    end: async () => await socket.end(),
    // The socket is the output's too.
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Gives everything back in the end, but not before the output was read or dropped. */
async function untilExit(conmon: Conmon, socket: ConsoleSocket, held: AsyncDisposableStack): Promise<number> {
  const release = async (): Promise<void> => {
    await socket.ended;
    await held.disposeAsync();
  };
  try {
    const ended = await conmon.sync.next();
    return ended === undefined || ended.data < 0 ? killedExitCode : ended.data;
  } finally {
    release().catch(() => undefined);
  }
}
