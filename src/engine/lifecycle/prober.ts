/**
 * Looks after containers' health: each on a clock of its own, so that one that hangs holds up no other.
 * Owns: the clocks, and the probes under way. Promises: at most one probe per container; one that takes too long is killed
 * with its children. Never: decides what a result means (health).
 */
import { setTimeout as pause } from "node:timers/promises";
import type { LifecycleEvent } from "#engine/transition.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { formatGoDuration } from "#spec/go-duration.ts";
import { type Probe, type ProbeResult, parseProbe, timingOf } from "#spec/health.ts";
import type { ContainerIndex } from "./container-index.ts";
import { untilNextProbe } from "./health.ts";
import { type Look, type ProbeParts, probeOnce } from "./probe.ts";

export interface ProberParts extends ProbeParts {
  readonly index: ContainerIndex;
  /** Told of every result. */
  readonly happen: (
    id: string,
    event: LifecycleEvent,
    o: { readonly guard: (record: ContainerRecord) => boolean },
  ) => Promise<boolean>;
  /** RFC 3339 with nanoseconds. */
  readonly now: () => string;
  readonly report: (fault: Fault) => void;
}

export class Prober implements Disposable {
  readonly #parts: ProberParts;
  readonly #watched = new Map<string, AbortController>();

  constructor(parts: ProberParts) {
    this.#parts = parts;
  }

  /** From the container's next interval on. A container already looked after begins anew. */
  begin(id: string): void {
    this.end(id);
    const control = new AbortController();
    this.#watched.set(id, control);
    this.#follow(id, control.signal).catch((thrown: unknown) => {
      if (!control.signal.aborted) this.#parts.report(Fault.from(thrown));
    });
  }

  /** A probe under way is killed, its result dropped. Idempotent. */
  end(id: string): void {
    this.#watched.get(id)?.abort();
    this.#watched.delete(id);
  }

  async #follow(id: string, signal: AbortSignal): Promise<void> {
    const { index, happen } = this.#parts;
    for (;;) {
      const waiting = index.find(id);
      if (waiting === undefined) return;
      // Cut short by the signal.
      await pause(untilNextProbe(waiting, Date.now()), undefined, { signal }).catch(() => undefined);
      const record = index.find(id);
      const probe = parseProbe(record?.config.Healthcheck, record?.config.Shell);
      if (signal.aborted || record === undefined || probe === undefined) return;
      const { result, settled } = await this.#probe(record, probe, signal);
      if (signal.aborted) return;
      const guard = ({ run }: ContainerRecord): boolean => run === record.run;
      await happen(id, { kind: "probed", result }, { guard });
      // Killed, it may still take its time to go; a second one beside it would not help.
      await settled;
    }
  }

  /** `settled`: when nothing of the probe is left. */
  async #probe(
    record: ContainerRecord,
    probe: Probe,
    signal: AbortSignal,
  ): Promise<{ result: ProbeResult; settled: Promise<unknown> }> {
    const { now } = this.#parts;
    const start = now();
    const { timeout } = timingOf(record.config.Healthcheck);
    const over = new AbortController();
    let said = "";
    const onOutput = (text: string): void => {
      said = text;
    };
    const answer = probeOnce(this.#parts, record, probe, { signal: over.signal, onOutput }).catch(
      (thrown: unknown): Look => ({ exitCode: noAnswer, output: Fault.from(thrown).message }),
    );
    const { promise: cut, resolve } = Promise.withResolvers<Look>();
    const late = (): void => resolve({ exitCode: noAnswer, output: timeoutText(timeout, said) });
    const timer = setTimeout(late, timeout);
    signal.addEventListener("abort", late, { once: true });
    try {
      const look = await Promise.race([answer, cut]);
      return { result: { start, end: now(), ...look }, settled: answer };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", late);
      over.abort();
    }
  }

  /** Probes under way are called off; containers run on. */
  [Symbol.dispose](): void {
    for (const id of [...this.#watched.keys()]) this.end(id);
  }
}

/** Docker's code for a probe that told nothing. */
const noAnswer = -1;

function timeoutText(timeoutMs: number, said: string): string {
  const text = `Health check exceeded timeout (${formatGoDuration(timeoutMs * 1e6)})`;
  return said === "" ? text : `${text}: ${said}`;
}
