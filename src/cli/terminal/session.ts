/**
 * A terminal session with a process in a container: streams both ways, signals, window sizes.
 * Owns: the local terminal's mode while it lasts, put back on every way out.
 */

import { type CliIo, write } from "#cli/flags/command.ts";
import type { HijackedStream } from "#client/hijack.ts";
import { FrameDecoder } from "#spec/frames.ts";
import { DetachKeys, parseKeys } from "./detach-keys.ts";
import { enterRawMode } from "./raw-terminal.ts";

export interface SessionOptions {
  readonly tty: boolean;
  readonly stdin: boolean;
  /** What is typed to leave a terminal. @default ctrl-p,ctrl-q */
  readonly detachKeys?: readonly number[];
  /** Called with the local window's size, at once and whenever it changes. */
  readonly resize?: (size: { readonly height: number; readonly width: number }) => Promise<void>;
  /** Called with the names of signals this process gets; absent: they are not passed on. */
  readonly signal?: (name: string) => Promise<void>;
}

const passedOn = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"];
/** A window's size may be refused until the process runs. */
const resizeAttempts = 5;
const resizePauseMs = 20;

/** Resolves when the output ended, or with "detached" when the keys for that were typed. */
export async function runSession(
  io: CliIo,
  stream: HijackedStream,
  o: SessionOptions,
): Promise<"ended" | "detached"> {
  await using restore = new AsyncDisposableStack();
  if (o.tty && o.stdin) restore.use(await enterRawMode(io));
  const { signal, resize } = o;
  if (signal !== undefined && !o.tty)
    restore.use(io.onSignals(passedOn, (name) => void signal(name).catch(() => undefined)));
  if (resize !== undefined && o.tty && io.stdout.isTTY) {
    const change = (): void => void resizeUntilHeard(io, resize);
    restore.use(io.onSignals(["SIGWINCH"], change));
    change();
  }
  const { promise: detached, resolve: detach } = Promise.withResolvers<"detached">();
  if (o.stdin) restore.use(pumpInput(io, stream, o, () => detach("detached")));
  return await Promise.race([pumpOutput(io, stream, o.tty), detached]);
}

async function resizeUntilHeard(io: CliIo, resize: NonNullable<SessionOptions["resize"]>): Promise<void> {
  for (let attempt = 0; attempt < resizeAttempts; attempt++) {
    try {
      await resize({ height: io.stdout.rows, width: io.stdout.columns });
      return;
    } catch {
      await new Promise((done) => setTimeout(done, resizePauseMs * 2 ** attempt));
    }
  }
}

async function pumpOutput(io: CliIo, stream: HijackedStream, tty: boolean): Promise<"ended"> {
  const decoder = tty ? undefined : new FrameDecoder();
  for await (const bytes of stream.output) {
    if (decoder === undefined) await write(io.stdout, bytes);
    else
      for (const frame of decoder.push(bytes))
        await write(frame.stream === "stderr" ? io.stderr : io.stdout, frame.bytes);
  }
  return "ended";
}

/** Follows stdin until it ends or the session does. */
function pumpInput(
  io: CliIo,
  stream: HijackedStream,
  { tty, detachKeys }: SessionOptions,
  detach: () => void,
): Disposable {
  const keys = new DetachKeys(detachKeys ?? parseKeys(undefined));
  const take = (bytes: Buffer): void => {
    const passed = tty ? keys.pass(bytes) : bytes;
    if (passed === undefined) {
      detach();
      return;
    }
    if (passed.length === 0) return;
    // One part at a time: what the process does not take stays with the sender.
    io.stdin.pause();
    stream.write(passed).then(
      () => io.stdin.resume(),
      () => undefined,
    );
  };
  const end = (): void => stream.end();
  io.stdin.on("data", take);
  io.stdin.once("end", end);
  io.stdin.resume();
  return {
    [Symbol.dispose]: () => {
      io.stdin.off("data", take);
      io.stdin.off("end", end);
      io.stdin.pause();
    },
  };
}
