/**
 * Processes beside a container's first one.
 * Owns: what becomes of them. Promises: an exec runs once; it goes on without its client and without the engine, can be
 * found then, asked about and killed; what it was and how it ended can be asked for a while afterwards.
 */

import { abortable } from "#engine/abortable.ts";
import type { Emit } from "#engine/emit.ts";
import { containerAttributes, execWords } from "#engine/event-attributes.ts";
import type { ContainerIndex } from "#engine/lifecycle/container-index.ts";
import { isLive } from "#engine/lifecycle/lifecycle.ts";
import { signalNumber } from "#engine/lifecycle/signals.ts";
import type { Attachment } from "#engine/lifecycle/streams.ts";
import type { ConsoleSize, ExecSession, ExecSpec, RuntimePart, Waiting } from "#engine/parts.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { Exec, ExecMemory, ExecRecord, ExecRequest } from "./exec-memory.ts";

/** How long a window's size waits for its terminal; as dockerd. */
const resizeWaitMs = 10_000;
/** Of an exec that could not start, when nothing says otherwise: it cannot be executed. */
const failedExitCode = 126;

export interface ExecsParts {
  readonly index: ContainerIndex;
  readonly runtime: Pick<RuntimePart, "exec" | "adoptExecs">;
  readonly memory: ExecMemory;
  /** The record with the variables of what it is linked to. */
  readonly linked: (record: ContainerRecord) => ContainerRecord;
  readonly emit: Emit;
  readonly randomHex: (bytes: number) => string;
  /** Told of what fails where no request is there to be told. */
  readonly report: (fault: Fault) => void;
}

export interface ExecStartOptions extends Waiting {
  readonly detach: boolean;
  readonly consoleSize?: ConsoleSize | undefined;
}

export class Execs implements Disposable {
  readonly #parts: ExecsParts;
  readonly #stopping = new AbortController();

  constructor(parts: ExecsParts) {
    this.#parts = parts;
  }

  /** @throws Fault `not-found`, or `conflict` when the container does not run. */
  create(reference: string, request: ExecRequest): string {
    const container = this.#running(reference);
    const id = this.#parts.randomHex(32);
    const { record } = this.#parts.memory.add({
      ...{ id, request, containerId: container.id },
      ...{ running: false, pid: 0 },
    });
    this.#emit(`exec_create: ${execWords(record.request.args)}`, record);
    return id;
  }

  /** @throws Fault `not-found`; `conflict` for one that ran or runs, or whose container does not run. */
  startable(id: string): ExecRecord {
    const { record, started } = this.#parts.memory.get(id);
    if (record.exitCode !== undefined)
      throw new Fault("conflict", `Error: Exec command ${id} has already run`);
    if (started) throw new Fault("conflict", `Error: Exec command ${id} is already running`);
    this.#running(record.containerId);
    return record;
  }

  /** Undefined when detached. @throws As `startable`; the fault of the start, with `detail.exitCode`. */
  async start(id: string, o: ExecStartOptions): Promise<Attachment | undefined> {
    const { request, containerId } = this.startable(id);
    const exec = this.#parts.memory.get(id);
    this.#parts.memory.starting(exec);
    this.#emit(`exec_start: ${execWords(exec.record.request.args)}`, exec.record);
    const streams = o.detach ? { stdin: false, stdout: false, stderr: false } : {};
    const spec: ExecSpec = { ...request, ...streams, consoleSize: o.consoleSize ?? request.consoleSize };
    let session: ExecSession;
    try {
      session = await this.#parts.runtime.exec(this.#parts.linked(this.#running(containerId)), id, spec, o);
    } catch (thrown) {
      throw this.#failed(exec, Fault.from(thrown));
    }
    const ended = this.#runs(exec, session);
    if (o.detach) {
      await session[Symbol.asyncDispose]();
      return undefined;
    }
    return {
      tty: request.tty,
      output: untilExit(session, ended, request),
      input: request.stdin ? session.input : undefined,
      detached: () => this.#emit("exec_detach", exec.record),
      [Symbol.asyncDispose]: async () => await session[Symbol.asyncDispose](),
    };
  }

  #failed(exec: Exec, fault: Fault): Fault {
    const { exitCode } = fault.detail;
    this.#parts.memory.ended(exec, typeof exitCode === "number" ? exitCode : failedExitCode);
    exec.ready.reject(new Fault("invalid", "exec process is not started"));
    return fault;
  }

  /** Resolves when its end is known. */
  #runs(exec: Exec, session: ExecSession): Promise<void> {
    exec.record = { ...exec.record, running: true, pid: session.pid };
    exec.ready.resolve(session);
    const ended = session.exit.then((exitCode) => {
      this.#parts.memory.ended(exec, exitCode);
      this.#emit("exec_die", exec.record, { exitCode: String(exitCode) });
    });
    ended.catch((thrown: unknown) => {
      if (!this.#stopping.signal.aborted) this.#parts.report(Fault.from(thrown));
    });
    return ended;
  }

  /** Finds the execs again that went on while no engine was there. One container's trouble stops no other. */
  async comeBack(): Promise<void> {
    const { index, memory, report } = this.#parts;
    const known = new Map(memory.leftBehind().map((record) => [record.id, record]));
    const live = index.list().filter(isLive);
    await Promise.all(
      live.map(async ({ id }) => {
        try {
          await this.#adopt(id, known);
        } catch (thrown) {
          report(Fault.from(thrown));
        }
      }),
    );
    for (const id of known.keys()) memory.drop(id);
  }

  async #adopt(containerId: string, known: Map<string, ExecRecord>): Promise<void> {
    const { memory, runtime } = this.#parts;
    const found = await runtime.adoptExecs(containerId, { signal: this.#stopping.signal });
    for (const [execId, session] of found) {
      const record = known.get(execId);
      known.delete(execId);
      // One nobody asked for could never be asked about.
      if (record === undefined) await session.kill(signalNumber("KILL"));
      else this.#runs(memory.add({ ...record, running: true }), session);
    }
  }

  /** @throws Fault `not-found`. */
  inspect(id: string): ExecRecord {
    return this.#parts.memory.get(id).record;
  }

  /**
   * Signals an exec and what it started.
   * @throws Fault `conflict` when it does not run, `invalid` for an unknown signal.
   */
  async kill(id: string, signalName: string): Promise<void> {
    const number = signalNumber(signalName);
    const { record, ready } = this.#parts.memory.get(id);
    if (!record.running) throw new Fault("conflict", `exec ${id} is not running`);
    const session = await ready.promise;
    await session.kill(number);
  }

  /** Waits a while for one that is about to start. @throws Fault `not-found` when it ended, `timeout`. */
  async resize(id: string, size: ConsoleSize): Promise<void> {
    const { record, ready } = this.#parts.memory.get(id);
    if (record.exitCode !== undefined)
      throw new Fault("not-found", `process does not exist ${id}: not found`);
    const session = await abortable(ready.promise, AbortSignal.timeout(resizeWaitMs)).catch(
      (thrown: unknown) => {
        if (Fault.from(thrown).kind !== "timeout") throw thrown;
        throw new Fault("timeout", "timeout waiting for exec session ready");
      },
    );
    await session.resize(size);
  }

  /** Ids of the running execs of a container. */
  of(containerId: string): string[] {
    return this.#parts.memory.running(containerId);
  }

  #running(reference: string): ContainerRecord {
    const record = this.#parts.index.get(reference);
    const { status } = record.observed;
    if (status === "paused")
      throw new Fault("conflict", `Container ${reference} is paused, unpause the container before exec`);
    if (status === "restarting")
      throw new Fault(
        "conflict",
        `Container ${record.id} is restarting, wait until the container is running`,
      );
    if (status !== "running") throw new Fault("conflict", `container ${record.id} is not running`);
    return record;
  }

  #emit(action: string, { id, containerId }: ExecRecord, more: Record<string, string> = {}): void {
    const container = this.#parts.index.find(containerId);
    const attributes = container === undefined ? {} : containerAttributes(container);
    this.#parts.emit("container", action, containerId, { ...attributes, execID: id, ...more });
  }

  /** Execs run on. Idempotent. */
  [Symbol.dispose](): void {
    this.#stopping.abort();
  }
}

/** The asked-for streams; its end is seen only when the exit code is known, so that who asks next gets it. */
async function* untilExit(
  session: ExecSession,
  ended: Promise<void>,
  o: { readonly stdout: boolean; readonly stderr: boolean },
) {
  for await (const frame of session.output) if (o[frame.stream]) yield frame;
  await ended;
}
