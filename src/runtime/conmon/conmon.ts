/**
 * conmon: parent of one container's process, or of one exec's, which outlives the engine.
 * Owns: how it is called. Promises: what it writes survives the engine: log, exit file, pid files.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { Fault } from "#spec/fault.ts";
import { type LowLevel, type LowLevelCall, logArg, plainCall } from "./low-level.ts";
import { SyncPipe } from "./sync-pipe.ts";

export interface ConmonRequest {
  readonly containerId: string;
  /** Of this process: the container's or the exec's. */
  readonly uuid: string;
  /** Where its sockets and pid files are. */
  readonly directory: string;
  readonly exitDirectory: string;
  readonly logPath: string | undefined;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Whether stdin stays open when an attached client goes. */
  readonly leaveStdinOpen: boolean;
  /** The exec's process as a file; absent for a container. */
  readonly execSpec?: string;
}

/** A conmon that was started. Dispose to close this end of its pipes; it lives on. */
export interface Conmon extends Disposable {
  /** One line with the pid, or with a failure; for an exec, another with the exit code. */
  readonly sync: SyncPipe;
  /** Only of an exec: resolves when its attach socket is there. */
  readonly attachable: Promise<void>;
  /** Only of an exec: lets it run. */
  start(): void;
}

export const conmonFiles = {
  /** The socket for stdin and output. */
  attach: "attach",
  /** The pipe for window sizes. */
  control: "ctl",
  pid: "pid",
  conmonPid: "conmon.pid",
} as const;

/**
 * Of one log file. The engine has conmon begin a new one long before; this is for when there is no engine. conmon then
 * replaces the file by one it finds, or makes, beside it under the name with `.tmp`.
 */
const logFileBytesMax = 128 << 20;

/** Pure. */
function conmonArgs(root: string, { command }: LowLevelCall, o: ConmonRequest): string[] {
  const [program, ...leading] = command;
  return [
    ...["--api-version", "1", "--cid", o.containerId, "--cuuid", o.uuid, "--name", o.containerId],
    ...["--runtime", program, ...leading.flatMap((word) => ["--runtime-arg", word])],
    ...["--runtime-arg", `--root=${root}`, "--runtime-arg", logArg(o.directory)],
    ...["--bundle", o.directory, "--full-attach", "--exit-dir", o.exitDirectory],
    ...["--container-pidfile", `${o.directory}/${conmonFiles.pid}`],
    ...["--conmon-pidfile", `${o.directory}/${conmonFiles.conmonPid}`],
    ...(o.logPath === undefined
      ? ["--log-path", "none"]
      : ["--log-path", `k8s-file:${o.logPath}`, "--log-size-max", String(logFileBytesMax)]),
    ...["--log-level", "error", "--no-sync-log"],
    ...(o.tty ? ["--terminal"] : []),
    ...(o.stdin ? ["--stdin"] : []),
    ...(o.leaveStdinOpen ? ["--leave-stdin-open"] : []),
    ...(o.execSpec === undefined ? [] : ["--exec", "--exec-attach", "--exec-process-spec", o.execSpec]),
  ];
}

/** @throws Fault `unavailable` when there is no conmon; `internal` with its words when it refuses its task. */
export async function startConmon(runtime: LowLevel, o: ConmonRequest): Promise<Conmon> {
  const isExec = o.execSpec !== undefined;
  const pipes = isExec ? (["pipe", "pipe", "pipe"] as const) : (["pipe"] as const);
  const call = isExec ? plainCall(runtime.entering) : runtime.call();
  const child = spawn("conmon", conmonArgs(runtime.root, call, o), {
    cwd: o.directory,
    detached: true,
    env: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      _OCI_SYNCPIPE: "3",
      ...(isExec && { _OCI_ATTACHPIPE: "4", _OCI_STARTPIPE: "5" }),
    },
    stdio: ["ignore", "ignore", "pipe", ...pipes],
  });
  const [, , , sync, attach, start] = child.stdio as unknown as [
    null,
    null,
    Readable,
    Readable,
    Readable,
    Writable,
  ];
  // What conmon says first is how the call went; it says nothing only when it ends. Letting go waits for the kernel, who
  // waits for the answer need not.
  for (const event of ["data", "close"])
    sync.once(event, () => void setImmediate(() => call[Symbol.dispose]()));
  // From here on what conmon says is kept: it may speak before its first process is seen to end.
  const messages = new SyncPipe(sync);
  const said: Buffer[] = [];
  child.stderr?.on("data", (part: Buffer) => said.push(part));
  child.stderr?.on("error", () => undefined);
  const attachable = isExec ? once(attach, "data").then(() => undefined) : Promise.resolve();
  attachable.catch(() => undefined);
  // Read once before it forks, once before the exec runs.
  if (isExec) start.write("\0");
  try {
    // The first process ends as soon as the one that stays was forked.
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0)
      throw new Fault("internal", `conmon: ${Buffer.concat(said).toString().trim() || `exit ${code}`}`);
  } catch (thrown) {
    for (const pipe of [sync, attach, start]) pipe?.destroy();
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT")
      throw new Fault("unavailable", "conmon is not there: install Debian's conmon", { cause: thrown });
    throw thrown;
  }
  return {
    sync: messages,
    attachable,
    start: () => start.end("\0"),
    [Symbol.dispose]: () => {
      for (const pipe of [sync, attach, start, child.stderr]) pipe?.destroy();
    },
  };
}
