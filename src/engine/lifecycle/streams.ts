/**
 * The streams of containers: logs, and attached clients.
 * Owns: nothing that lasts. Promises: output goes through the log, so a slow reader never blocks a container and output is
 * kept when nobody listens; what a client sends before the process runs waits for it. Never: starts or stops anything.
 */

import { abortable } from "#engine/abortable.ts";
import type { Emit } from "#engine/emit.ts";
import { containerAttributes } from "#engine/event-attributes.ts";
import type { ConsoleSize, Frame, Input, LogPart, RuntimePart, Waiting } from "#engine/parts.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { isReadable } from "#telemetry/log-config.ts";
import type { ContainerIndex } from "./container-index.ts";
import type { Launch } from "./launch.ts";
import { isLive } from "./lifecycle.ts";
import type { Waiters } from "./waiters.ts";

export interface StreamsParts {
  readonly index: ContainerIndex;
  readonly launch: Pick<Launch, "files">;
  readonly logs: LogPart;
  readonly runtime: Pick<RuntimePart, "input" | "resize">;
  readonly waiters: Waiters;
  readonly emit: Emit;
}

export interface LogOptions extends Waiting {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly since?: bigint | undefined;
  readonly until?: bigint | undefined;
  readonly follow: boolean;
  readonly tail?: number | undefined;
  /** Lines come many at once, with no time of their own: much faster. `multiplexed`: as Docker's frames, one a line. */
  readonly joined?: "plain" | "multiplexed" | undefined;
}

export interface AttachOptions extends Waiting {
  /** Everything logged so far comes first. */
  readonly logs: boolean;
  readonly stream: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** A session with streams. Disposing detaches; it stops nothing. */
export interface Attachment extends AsyncDisposable {
  readonly tty: boolean;
  readonly output: AsyncIterable<Frame>;
  readonly input?: Pick<Input, "write" | "end"> | undefined;
  /** The client left by the keys for that: told as an event. */
  detached(): void;
}

export class Streams {
  readonly #parts: StreamsParts;

  constructor(parts: StreamsParts) {
    this.#parts = parts;
  }

  /** With `follow`, ends when the container does. @throws Fault `not-found` at once. */
  logs(reference: string, o: LogOptions): AsyncIterable<Frame & { readonly timeNano: bigint }> {
    const { index, launch, logs, waiters } = this.#parts;
    const record = index.get(reference);
    if (record.desired === "removed")
      throw new Fault("conflict", "can not get logs from container which is dead or marked for removal");
    if (!isReadable(record.host.LogConfig))
      throw new Fault("unsupported", "configured logging driver does not support reading");
    const ended = isLive(record) ? waiters.nextExit(record.id, o.signal) : Promise.resolve();
    const { follow, ...range } = o;
    return logs.read(launch.files(record.id).log, { ...range, ...(follow && { follow: { ended } }) });
  }

  /** Of a container that does not run yet: its streams from the moment it does. */
  attach(reference: string, o: AttachOptions): Attachment {
    const { index, launch, logs, waiters } = this.#parts;
    const record = index.get(reference);
    if (record.observed.status === "paused")
      throw new Fault("conflict", `container ${reference} is paused, unpause the container before attach.`);
    this.#parts.emit("container", "attach", record.id, containerAttributes(record));
    const ended = waiters.nextExit(record.id, o.signal);
    const path = launch.files(record.id).log;
    const frames = logs.read(path, {
      stdout: o.stdout,
      stderr: o.stderr,
      from: o.logs ? "start" : "end",
      joined: "plain",
      ...(o.stream && { follow: { ended } }),
      signal: o.signal,
    });
    const tty = record.config.Tty === true;
    const output =
      o.stream && (o.stderr || tty) ? withWarning(frames, tty, () => logs.hasRoom(path)) : frames;
    const wantsInput = o.stdin && o.stream && record.config.OpenStdin === true;
    const input = wantsInput ? this.#input(record, o.signal) : undefined;
    return {
      tty,
      output,
      input,
      detached: () => this.#parts.emit("container", "detach", record.id, containerAttributes(record)),
      [Symbol.asyncDispose]: async () => await input?.[Symbol.asyncDispose](),
    };
  }

  #input(record: ContainerRecord, signal: AbortSignal): Input {
    const { index, runtime, waiters } = this.#parts;
    const current = index.find(record.id);
    const running =
      current !== undefined && isLive(current) ? Promise.resolve() : waiters.nextLaunch(record.id, signal);
    return new LateInput(async () => {
      await abortable(running, signal);
      return await runtime.input(record.id);
    });
  }

  /** @throws Fault `conflict` when it does not run. */
  async resize(reference: string, size: ConsoleSize): Promise<void> {
    const record = this.#parts.index.get(reference);
    if (!isLive(record)) throw new Fault("conflict", `container ${record.id} is not running`);
    await this.#parts.runtime.resize(record.id, size);
    const { height, width } = size;
    const attributes = { ...containerAttributes(record), height: String(height), width: String(width) };
    this.#parts.emit("container", "resize", record.id, attributes);
  }
}

/** Output comes by way of the log: what a full disk did not take, its reader misses, and is told so where it ends. */
async function* withWarning(
  frames: AsyncIterable<Frame>,
  tty: boolean,
  hasRoom: () => boolean,
): AsyncGenerator<Frame> {
  yield* frames;
  if (hasRoom()) return;
  const text =
    "wherry: the disk that holds this container's log is full, its last output may be missing: remove what is not needed";
  yield { stream: tty ? "stdout" : "stderr", bytes: Buffer.from(`${text}${tty ? "\r" : ""}\n`) };
}

/** An input that is opened by its first use; once the process is gone, what is written is lost, as in a broken pipe. */
class LateInput implements Input {
  readonly #open: () => Promise<Input>;
  #opened: Promise<Input | undefined> | undefined;

  constructor(open: () => Promise<Input>) {
    this.#open = open;
  }

  #input(): Promise<Input | undefined> {
    this.#opened ??= this.#open().catch(() => undefined);
    return this.#opened;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const input = await this.#input();
    await input?.write(bytes).catch(() => undefined);
  }

  async end(): Promise<void> {
    const input = await this.#input();
    await input?.end().catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Not waited for: a container that never starts must not hold up its client's leaving.
    this.#opened?.then((input) => input?.[Symbol.asyncDispose]()).catch(() => undefined);
  }
}
