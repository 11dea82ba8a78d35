/**
 * An exec with a conmon of its own, which holds what must outlive the engine: the terminal, or the exit code where crun
 * cannot tell it. Its streams go through conmon's socket.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeSpec } from "#runtime/bundle/bundle.ts";
import { type Conmon, conmonFiles, startConmon } from "#runtime/conmon/conmon.ts";
import { ConsoleSocket } from "#runtime/conmon/console-socket.ts";
import { resizeConsole } from "#runtime/conmon/control.ts";
import { startFailure } from "#runtime/conmon/failure.ts";
import { type LowLevel, runtimeSaid } from "#runtime/conmon/low-level.ts";
import { removeStubborn } from "#runtime/conmon/run-directory.ts";
import { sigkill, signaller } from "./exec-processes.ts";
import { type ExecOrder, exitHome, type Input, type RunningExec } from "./running-exec.ts";

/** What a shell says of a process that was killed; nobody knows better when conmon is gone. */
const killedExitCode = 137;

/** @throws Fault with `detail.exitCode` when the command cannot be started; nothing is left then. */
export async function runUnderConmon(runtime: LowLevel, o: ExecOrder): Promise<RunningExec> {
  const { directory, process, streams } = o;
  await mkdir(join(directory, exitHome), { recursive: true, mode: 0o700 });
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => await removeStubborn(directory));
  const execSpec = join(directory, "process.json");
  await writeFile(execSpec, encodeSpec(process), { mode: 0o600 });
  const conmon = stack.use(
    await startConmon(runtime, {
      containerId: o.containerId,
      uuid: o.execId,
      directory,
      exitDirectory: join(directory, exitHome),
      logPath: undefined,
      tty: process.terminal === true,
      stdin: streams.stdin,
      leaveStdinOpen: false,
      execSpec,
    }),
  );
  await conmon.attachable;
  const socket = stack.use(
    await ConsoleSocket.connect(join(directory, conmonFiles.attach), { output: true }),
  );
  if (!streams.stdout && !streams.stderr) socket.dropOutput();
  conmon.start();
  const started = await conmon.sync.next();
  if (started === undefined || started.data <= 0)
    throw startFailure(
      "exec",
      (await runtimeSaid(directory)) || (started?.message ?? ""),
      process.args[0] ?? "",
    );
  const held = stack.move();
  const signal = signaller(started.data);
  return {
    pid: started.data,
    output: socket.output(),
    input: streams.stdin ? inputOf(socket) : undefined,
    exit: untilExit(conmon, socket, held),
    [Symbol.asyncDispose]: async () => socket.dropOutput(),
    resize: async (size) => await resizeConsole(directory, size),
    kill: async (number) => {
      await signal(number);
      // Blocked by a client that reads nothing, conmon would never see its child's end.
      if (number === sigkill) socket.dropOutput();
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
