/**
 * Processes beside a container's first one.
 * Owns: the execs of this engine's life, in memory: like dockerd, an engine that comes back knows none of them.
 * Promises: an exec runs once; what it was and how it ended can be asked for a while afterwards.
 */
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { ContainerIndex } from "./container-index.ts";
import type { Emit } from "./emit.ts";
import { containerAttributes } from "./event-attributes.ts";
import type { ConsoleSize, ExecSession, ExecSpec, RuntimePart, Waiting } from "./parts.ts";
import type { Attachment } from "./streams.ts";

/** How many ended or never started execs are remembered, the newest. */
const rememberedMax = 1024;

export interface ExecRequest extends ExecSpec {
  readonly detachKeys: string;
}

export interface ExecRecord {
  readonly id: string;
  readonly containerId: string;
  readonly request: ExecRequest;
  readonly running: boolean;
  readonly exitCode?: number | undefined;
  readonly pid: number;
}

interface Exec {
  record: ExecRecord;
  session?: ExecSession;
  started: boolean;
}

export interface ExecsParts {
  readonly index: ContainerIndex;
  readonly runtime: Pick<RuntimePart, "exec">;
  readonly emit: Emit;
  readonly randomHex: (bytes: number) => string;
}

export class Execs {
  readonly #parts: ExecsParts;
  readonly #execs = new Map<string, Exec>();

  constructor(parts: ExecsParts) {
    this.#parts = parts;
  }

  /** @throws Fault `not-found`, or `conflict` when the container does not run. */
  create(reference: string, request: ExecRequest): string {
    const container = this.#running(reference);
    const id = this.#parts.randomHex(32);
    const record = { id, containerId: container.id, request, running: false, pid: 0 };
    this.#forgetOldest();
    this.#execs.set(id, { record, started: false });
    this.#emit("exec_create", container, record);
    return id;
  }

  /** Undefined when detached. @throws The fault of the start, with `detail.exitCode`. */
  async start(
    id: string,
    o: Waiting & {
      readonly detach: boolean;
      readonly tty: boolean;
      readonly consoleSize?: ConsoleSize | undefined;
    },
  ): Promise<Attachment | undefined> {
    const exec = this.#get(id);
    if (exec.started) throw new Fault("conflict", `exec ${id} has already run`);
    const container = this.#running(exec.record.containerId);
    exec.started = true;
    const { request } = exec.record;
    const spec: ExecSpec = { ...request, tty: o.tty, consoleSize: o.consoleSize ?? request.consoleSize };
    let session: ExecSession;
    try {
      session = await this.#parts.runtime.exec(container, id, spec, o);
    } catch (thrown) {
      const fault = Fault.from(thrown);
      const { exitCode } = fault.detail;
      exec.record = { ...exec.record, exitCode: typeof exitCode === "number" ? exitCode : 126 };
      throw fault;
    }
    exec.session = session;
    exec.record = { ...exec.record, running: true, pid: session.pid };
    this.#emit("exec_start", container, exec.record);
    const ended = session.exit.then((exitCode) => this.#ended(exec, container, exitCode));
    ended.catch(() => undefined);
    if (o.detach) {
      await session[Symbol.asyncDispose]();
      return undefined;
    }
    return {
      tty: o.tty,
      output: untilExit(session, ended, request),
      input: request.stdin ? session.input : undefined,
      [Symbol.asyncDispose]: async () => await session[Symbol.asyncDispose](),
    };
  }

  #ended(exec: Exec, container: ContainerRecord, exitCode: number): void {
    exec.record = { ...exec.record, running: false, exitCode, pid: 0 };
    delete exec.session;
    this.#parts.emit("container", "exec_die", container.id, {
      ...containerAttributes(container),
      execID: exec.record.id,
      exitCode: String(exitCode),
    });
  }

  /** @throws Fault `not-found`. */
  inspect(id: string): ExecRecord {
    return this.#get(id).record;
  }

  /** @throws Fault `conflict` when it does not run. */
  async resize(id: string, size: ConsoleSize): Promise<void> {
    const { session } = this.#get(id);
    if (session === undefined) throw new Fault("conflict", `exec ${id} is not running`);
    await session.resize(size);
  }

  /** Ids of the running execs of a container. */
  of(containerId: string): string[] {
    return [...this.#execs.values()]
      .filter(({ record }) => record.containerId === containerId && record.running)
      .map(({ record }) => record.id);
  }

  #get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (exec === undefined) throw new Fault("not-found", `No such exec instance: ${id}`);
    return exec;
  }

  #running(reference: string): ContainerRecord {
    const record = this.#parts.index.get(reference);
    const { status } = record.observed;
    if (status === "paused")
      throw new Fault("conflict", `Container ${reference} is paused, unpause the container before exec`);
    if (status === "restarting")
      throw new Fault(
        "conflict",
        `Container ${reference} is restarting, wait until the container is running`,
      );
    if (status !== "running") throw new Fault("conflict", `container ${record.id} is not running`);
    return record;
  }

  #forgetOldest(): void {
    if (this.#execs.size < rememberedMax) return;
    for (const [id, { record }] of this.#execs) {
      if (record.running) continue;
      this.#execs.delete(id);
      return;
    }
  }

  #emit(action: string, container: ContainerRecord, { id, request }: ExecRecord): void {
    this.#parts.emit("container", `${action}: ${request.args.join(" ")}`, container.id, {
      ...containerAttributes(container),
      execID: id,
    });
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
