/**
 * What is remembered of execs: those that run, in the records, so that an engine that comes back knows them; the others a
 * while, in memory.
 * Owns: the table. Promises: never more than a bound of those that do not run; what ended is forgotten in time.
 */

import type { ExecSession, ExecSpec } from "#engine/parts.ts";
import { Fault } from "#spec/fault.ts";
import { nanoOfMillis } from "#spec/unix-time.ts";
import type { Records, Table } from "#store/records.ts";

export interface ExecRequest extends ExecSpec {
  readonly detachKeys: string;
}

export interface ExecRecord {
  readonly id: string;
  readonly containerId: string;
  readonly request: ExecRequest;
  readonly running: boolean;
  readonly exitCode?: number | undefined;
  /** On the host; of an ended process, what it was. */
  readonly pid: number;
}

export interface Exec {
  record: ExecRecord;
  started: boolean;
  /** Resolves when it runs; rejects when it could not. */
  readonly ready: PromiseWithResolvers<ExecSession>;
  /** Since when it has ended, nanoseconds since the epoch. */
  endedNano?: bigint;
}

/** How many ended or never started execs are remembered, the newest. */
export const rememberedMax = 1024;
/** How long an ended exec can be asked about; as dockerd. */
export const rememberedMs = 5 * 60_000;
/** Looked through once in so many. */
const forgetEvery = 64;

export class ExecMemory {
  readonly #table: Table<ExecRecord>;
  readonly #execs = new Map<string, Exec>();
  readonly #nowNano: () => bigint;

  constructor(records: Records, nowNano: () => bigint) {
    this.#table = records.table<ExecRecord>("execs");
    this.#nowNano = nowNano;
  }

  /** Of one that does not run yet. */
  add(record: ExecRecord): Exec {
    if (this.#execs.size >= rememberedMax || this.#execs.size % forgetEvery === 0) this.#forget();
    const exec: Exec = { record, started: record.running, ready: Promise.withResolvers() };
    exec.ready.promise.catch(() => undefined);
    this.#execs.set(record.id, exec);
    return exec;
  }

  /** @throws Fault `not-found` in Docker's words. */
  get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (exec === undefined || this.#isLongAgo(exec))
      throw new Fault("not-found", `No such exec instance: ${id}`);
    return exec;
  }

  /** From now on it is in the records. */
  starting(exec: Exec): void {
    exec.started = true;
    this.#table.put(exec.record.id, exec.record);
  }

  ended(exec: Exec, exitCode: number): void {
    exec.record = { ...exec.record, running: false, exitCode };
    exec.endedNano = this.#nowNano();
    this.#table.delete(exec.record.id);
  }

  running(containerId: string): string[] {
    return [...this.#execs.values()]
      .filter(({ record }) => record.containerId === containerId && record.running)
      .map(({ record }) => record.id);
  }

  /** What the records say ran when the last engine ended. */
  leftBehind(): ExecRecord[] {
    return this.#table.list();
  }

  /** Out of the records: it was not found again. */
  drop(id: string): void {
    this.#table.delete(id);
  }

  #forget(): void {
    const idle = [...this.#execs.values()].filter((exec) => isIdle(exec));
    const surplus = idle.length - rememberedMax + 1;
    for (const [index, exec] of idle.entries())
      if (index < surplus || this.#isLongAgo(exec)) this.#execs.delete(exec.record.id);
  }

  #isLongAgo({ endedNano }: Exec): boolean {
    return endedNano !== undefined && endedNano < this.#nowNano() - nanoOfMillis(rememberedMs);
  }
}

/** Neither running nor about to. */
function isIdle({ record, started }: Exec): boolean {
  return !record.running && (!started || record.exitCode !== undefined);
}
