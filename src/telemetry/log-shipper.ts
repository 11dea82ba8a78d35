/**
 * Brings one container's output to its receiver, from the files that are kept here.
 * Owns: how far it has come, on disk beside the log. Promises: lines go in order; what the receiver has not got waits in the
 * files, so neither its absence nor the engine's loses a line that is still kept; after either, some lines may go twice.
 * Never: holds up the container, whatever `mode` it asks for; holds more in memory than one batch.
 */
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { Fault } from "#spec/fault.ts";
import { LineAssembler, type LogMessage } from "./log-message.ts";
import type { LogBatch, LogPosition, LogRead } from "./log-reader.ts";
import type { LogReceiver, LogRoute } from "./log-receiver.ts";

export interface LogShipperOptions {
  /** Of the log. */
  readonly path: string;
  readonly route: LogRoute;
  readonly read: (o: LogRead) => { batches(): AsyncIterable<LogBatch> };
  readonly newId: () => string;
  readonly report: (fault: Fault) => void;
}

const retryMsMax = 10_000;
const retryGrowth = 1.5;
/** How often it is written down how far it has come. */
const saveEveryMs = 1000;

export class LogShipper {
  readonly #o: LogShipperOptions;
  readonly #stop = new AbortController();
  #receiver: LogReceiver | undefined;
  #position: LogPosition;
  #savedAt = 0;
  #ended = Promise.withResolvers<void>();
  #isOver = false;
  /** A run began while what an earlier one wrote was still on its way. */
  #again = false;
  #working: Promise<void> | undefined;
  #failing = false;
  #unsaved = false;

  constructor(o: LogShipperOptions) {
    this.#o = o;
    this.#position = readPosition(o.path);
  }

  /** Before a start. @throws Fault when the receiver cannot be reached and the container shall not start without it. */
  async connect(signal: AbortSignal): Promise<void> {
    if (this.#receiver === undefined && this.#o.route.connectsAtStart)
      this.#receiver = await this.#o.route.connect(signal);
  }

  /** A run begins, or is found running. */
  begin(): void {
    if (this.#working === undefined) this.#work();
    else if (this.#isOver) {
      this.#again = true;
      this.#expectEnd();
    }
  }

  /** The run is over: what it wrote is all there is. Also for a log whose end was never brought away. */
  finish(): void {
    if (this.#working === undefined) this.#work();
    this.#isOver = true;
    this.#ended.resolve();
  }

  #expectEnd(): void {
    this.#isOver = false;
    this.#ended = Promise.withResolvers<void>();
  }

  /** Resolves when everything written by finished runs was handed over. */
  get done(): Promise<void> {
    return this.#working ?? Promise.resolve();
  }

  get isWorking(): boolean {
    return this.#working !== undefined;
  }

  /** Whether the receiver could not be reached the last time. */
  get isFailing(): boolean {
    return this.#failing;
  }

  #work(): void {
    this.#expectEnd();
    const work = async (): Promise<void> => {
      try {
        do {
          this.#again = false;
          await this.#shipRun();
          await this.#save();
          // Nothing is waited for from here on: a run that begins now begins anew.
        } while (this.#again && !this.#stop.signal.aborted);
      } catch (thrown) {
        if (!this.#stop.signal.aborted) this.#o.report(Fault.from(thrown));
      } finally {
        this.#receiver?.[Symbol.dispose]();
        this.#receiver = undefined;
        this.#working = undefined;
      }
    };
    this.#working = work();
  }

  async #shipRun(): Promise<void> {
    const { promise: ended } = this.#ended;
    const lines = new LineAssembler(this.#o.newId);
    const reading = this.#o.read({
      stdout: true,
      stderr: true,
      from: this.#position,
      follow: { ended },
      signal: this.#stop.signal,
    });
    let reached = this.#position;
    for await (const { frames, end } of reading.batches()) {
      const messages: LogMessage[] = [];
      let whole: LogPosition | undefined;
      for (const frame of frames) {
        messages.push(...lines.push(frame));
        reached = { number: end.number, offset: end.offset - (frame.behind ?? 0) };
        // From the middle of a line nobody could go on.
        if (lines.isEmpty) whole = reached;
      }
      await this.#deliver(messages);
      this.#position = whole ?? this.#position;
      if (performance.now() - this.#savedAt > saveEveryMs) await this.#save();
    }
    await this.#deliver(lines.end());
    this.#position = reached;
  }

  async #deliver(messages: readonly LogMessage[]): Promise<void> {
    const { route } = this.#o;
    if (messages.length === 0) return;
    let pauseMs = route.retryMs;
    for (let attempt = 1; ; attempt++) {
      this.#stop.signal.throwIfAborted();
      try {
        this.#receiver ??= await route.connect(this.#stop.signal);
        await this.#unlessStopped(this.#receiver.send(messages));
        this.#failing = false;
        return;
      } catch (thrown) {
        this.#stop.signal.throwIfAborted();
        // A connection that was lost while nothing was to be sent is made anew at once.
        const lost = this.#receiver !== undefined;
        this.#receiver?.[Symbol.dispose]();
        this.#receiver = undefined;
        if (lost && attempt === 1) continue;
        if (!this.#failing) this.#o.report(this.#fault("waits for its receiver", thrown));
        this.#failing = true;
        if (attempt >= (route.attemptsMax ?? Number.POSITIVE_INFINITY)) {
          this.#o.report(this.#fault(`gave up ${messages.length} lines`, thrown));
          return;
        }
        await this.#pause(pauseMs);
        pauseMs = Math.min(pauseMs * retryGrowth, retryMsMax);
      }
    }
  }

  /** A receiver that takes nothing and says nothing must not hold up who wants to leave. */
  async #unlessStopped(sending: Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    const stopped = Promise.withResolvers<never>();
    const stop = (): void => stopped.reject(signal.reason);
    signal.addEventListener("abort", stop);
    try {
      await Promise.race([sending, stopped.promise]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #fault(what: string, cause: unknown): Fault {
    return new Fault("unavailable", `the log ${this.#o.path} ${what}: ${Fault.from(cause).message}`, {
      cause,
    });
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stop;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
    });
  }

  /** What cannot be written down, on a full disk or of a log that is removed, costs that lines go twice after a restart. */
  async #save(): Promise<void> {
    this.#savedAt = performance.now();
    const path = positionPath(this.#o.path);
    try {
      await writeFile(`${path}.part`, JSON.stringify(this.#position), { mode: 0o600 });
      await rename(`${path}.part`, path);
    } catch (thrown) {
      if (!this.#unsaved) this.#o.report(this.#fault("cannot be marked as shipped", thrown));
      this.#unsaved = true;
    }
  }

  /** Ends without waiting for what is on its way; another shipper goes on from there. */
  async stop(): Promise<void> {
    const working = this.#working;
    this.#stop.abort(new Fault("cancelled", "the log is no longer shipped"));
    await working;
    if (working !== undefined) await this.#save();
    this.#receiver?.[Symbol.dispose]();
    this.#receiver = undefined;
  }
}

function positionPath(path: string): string {
  return `${path}.shipped`;
}

function readPosition(path: string): LogPosition {
  try {
    const { number, offset } = JSON.parse(readFileSync(positionPath(path), "utf8")) as Partial<LogPosition>;
    if (typeof number === "number" && typeof offset === "number") return { number, offset };
  } catch {
    // None yet, or half written when the machine failed: then from the start of what is kept.
  }
  return { number: 0, offset: 0 };
}
