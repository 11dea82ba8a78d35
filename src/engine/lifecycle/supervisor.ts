/**
 * Performs what the lifecycle decides.
 * Owns: the turn of each container, the watch on its process, armed restarts. Promises: a record is written before
 * anything it calls for is acquired or given back; every end of a process is seen once. Never: decides.
 */

import { abortable } from "#engine/abortable.ts";
import type { Emit } from "#engine/emit.ts";
import { containerAttributes } from "#engine/event-attributes.ts";
import type { RuntimePart, VolumeRemoval } from "#engine/parts.ts";
import type { Action, LifecycleEvent } from "#engine/transition.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { Turns } from "#store/turns.ts";
import type { ContainerIndex } from "./container-index.ts";
import { donorsOf } from "./donors.ts";
import { endProcess } from "./ending.ts";
import type { Launch } from "./launch.ts";
import { isLive, isUp, next } from "./lifecycle.ts";
import type { Prober } from "./prober.ts";
import type { Waiters } from "./waiters.ts";

export interface SupervisorParts {
  readonly index: ContainerIndex;
  readonly launch: Launch;
  readonly runtime: Pick<RuntimePart, "exit" | "outOfMemory" | "signal">;
  readonly waiters: Waiters;
  readonly prober: Pick<Prober, "begin" | "end">;
  readonly emit: Emit;
  /** RFC 3339 with nanoseconds. */
  readonly now: () => string;
  /** Told of what fails where no request is there to be told. */
  readonly report: (fault: Fault) => void;
}

/** How long a restart waits for containers whose namespaces it shares and which are about to start, too. */
const donorWaitMs = 10_000;

export interface HappenOptions {
  readonly signal?: AbortSignal;
  /** Sees the record when the turn has come, and may refuse by throwing or by returning false. */
  readonly guard?: (record: ContainerRecord) => boolean;
  /** What makes the event true, done within the turn before it is written down. */
  readonly work?: () => Promise<void>;
}

export class Supervisor implements Disposable {
  readonly #parts: SupervisorParts;
  readonly #turns = new Turns();
  readonly #stopping = new AbortController();
  readonly #restarts = new Map<string, AbortController>();
  readonly #ready = Promise.withResolvers<void>();

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
  }

  /**
   * Lets `event` happen to the container, when its turn comes.
   * @returns Whether it happened.
   * @throws The fault of a launch that failed.
   */
  async happen(id: string, event: LifecycleEvent, o: HappenOptions = {}): Promise<boolean> {
    return await this.#turns.take(id, async () => {
      const record = this.#parts.index.find(id);
      if (record === undefined || o.guard?.(record) === false) return false;
      await o.work?.();
      await this.#apply(record, event, o.signal ?? this.#stopping.signal);
      return true;
    });
  }

  /** The container's own turn for work that is no lifecycle event, such as a change of its name. */
  async exclusively<R>(id: string, work: () => Promise<R>): Promise<R> {
    return await this.#turns.take(id, work);
  }

  /** Until this is called, no restart begins: what the engine finds when it comes back is known as a whole first. */
  beginRestarts(): void {
    this.#ready.resolve();
  }

  async #apply(record: ContainerRecord, event: LifecycleEvent, signal: AbortSignal): Promise<void> {
    const [after, actions] = next(record, event, this.#parts.now());
    if (after !== record) this.#parts.index.put(after);
    for (const action of actions) await this.#perform(after, action, signal);
    // A restart called off is an end, too, for those who wait for one.
    if (event.kind === "exited" || (isUp(record) && event.kind === "stop-requested" && !isUp(after)))
      this.#parts.waiters.exited(record.id, { exitCode: after.observed.exitCode });
  }

  async #perform(record: ContainerRecord, action: Action, signal: AbortSignal): Promise<void> {
    const { emit, launch, prober } = this.#parts;
    switch (action.do) {
      case "launch":
        return await this.#launch(record, signal);
      case "watch":
        launch.attend(record);
        return this.#watch(record);
      case "probe":
        return prober.begin(record.id);
      case "stop-probing":
        return prober.end(record.id);
      case "end":
        return this.#end(record);
      case "release":
        return await launch.release(record);
      case "remove":
        // Who starts a container with --rm has said beforehand that nothing of it is to be kept.
        return await this.remove(record, action.volumes ? { now: true } : undefined);
      case "restart-after":
        return this.#arm(record.id, action.delayMs);
      case "cancel-restart":
        return this.#disarm(record.id);
      case "emit":
        emit("container", action.action, record.id, { ...containerAttributes(record), ...action.attributes });
    }
  }

  async #launch(record: ContainerRecord, signal: AbortSignal): Promise<void> {
    this.#disarm(record.id);
    let pid: number;
    try {
      pid = await this.#parts.launch.acquire(record, signal);
    } catch (thrown) {
      const fault = Fault.from(thrown);
      const exitCode = typeof fault.detail["exitCode"] === "number" ? fault.detail["exitCode"] : 128;
      await this.#apply(record, { kind: "launch-failed", exitCode, error: fault.message }, signal);
      // Without the error, which is the answer to the start: clients would say it twice.
      this.#parts.waiters.exited(record.id, { exitCode });
      throw fault;
    }
    await this.#apply(record, { kind: "launched", pid }, signal);
    this.#parts.waiters.launched(record.id);
  }

  #watch(record: ContainerRecord): void {
    const { id, host } = record;
    const { runtime } = this.#parts;
    const over = new AbortController();
    this.#background(async (signal) => {
      const seen = await runtime.exit(id, { signal });
      over.abort();
      await this.happen(id, { kind: "exited", ...seen }, { guard: isLive });
    });
    if (!host.Memory) return;
    this.#background(async (signal) => {
      await runtime.outOfMemory(id, { signal: AbortSignal.any([signal, over.signal]) });
      if (!signal.aborted && !over.signal.aborted)
        await this.happen(id, { kind: "out-of-memory" }, { guard: isLive });
    });
  }

  #end(record: ContainerRecord): void {
    const ended = this.#parts.waiters.nextExit(record.id);
    this.#background(async (signal) => await endProcess(this.#parts, record, { ended, signal }));
  }

  #arm(id: string, delayMs: number): void {
    this.#disarm(id);
    const armed = new AbortController();
    this.#restarts.set(id, armed);
    const timer = setTimeout(
      () => this.#background(async () => await this.#restart(id, armed.signal)),
      delayMs,
    );
    armed.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }

  async #restart(id: string, called: AbortSignal): Promise<void> {
    await this.#ready.promise;
    await this.#donorsUp(id, called);
    await this.happen(id, { kind: "restart-due" }, { guard: () => !called.aborted });
  }

  /** Resolves also when they do not come: the launch says so then, and is tried again. */
  async #donorsUp(id: string, called: AbortSignal): Promise<void> {
    const { index, waiters } = this.#parts;
    const record = index.find(id);
    if (record === undefined) return;
    const due = index
      .list()
      .filter((other) => other.desired === "running" && !isLive(other) && other.id !== id)
      .filter((other) => donorsOf(record).some((each) => each === other.id || each === other.name));
    if (due.length === 0) return;
    const limit = AbortSignal.any([called, AbortSignal.timeout(donorWaitMs)]);
    const launched = Promise.all(due.map(async (other) => await waiters.nextLaunch(other.id)));
    await abortable(launched, limit).catch(() => undefined);
  }

  #disarm(id: string): void {
    this.#restarts.get(id)?.abort();
    this.#restarts.delete(id);
  }

  /** Takes away everything of the container, its record last. Idempotent. The caller has the container's turn. */
  async remove(record: ContainerRecord, volumes: VolumeRemoval | undefined): Promise<void> {
    const { emit, index, launch, prober, waiters } = this.#parts;
    this.#disarm(record.id);
    prober.end(record.id);
    const observed = { ...record.observed, status: "removing" } as const;
    const doomed: ContainerRecord = { ...record, desired: "removed", observed };
    index.put(doomed);
    try {
      await launch.release(doomed);
      await launch.discard(doomed, volumes);
    } catch (thrown) {
      const { message: error } = Fault.from(thrown);
      await this.#apply(doomed, { kind: "remove-failed", error }, this.#stopping.signal);
      throw thrown;
    }
    index.delete(record.id);
    if (record.purpose === undefined) emit("container", "destroy", record.id, containerAttributes(record));
    waiters.removed(record.id, { exitCode: record.observed.exitCode });
  }

  /** Work that no request waits for. */
  #background(work: (signal: AbortSignal) => Promise<void>): void {
    const { signal } = this.#stopping;
    work(signal).catch((thrown: unknown) => {
      if (!signal.aborted) this.#parts.report(Fault.from(thrown));
    });
  }

  /** Stops watching and restarting; containers run on. */
  [Symbol.dispose](): void {
    this.#stopping.abort();
    for (const id of [...this.#restarts.keys()]) this.#disarm(id);
  }
}
