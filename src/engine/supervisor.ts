/**
 * Performs what the lifecycle decides.
 * Owns: the turn of each container, the watch on its process, armed restarts. Promises: a record is written before
 * anything it calls for is acquired or given back; every end of a process is seen once. Never: decides.
 */
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { ContainerIndex } from "./container-index.ts";
import type { Emit } from "./emit.ts";
import { containerAttributes } from "./event-attributes.ts";
import type { Launch } from "./launch.ts";
import { type Action, type LifecycleEvent, next } from "./lifecycle.ts";
import type { RuntimePart } from "./parts.ts";
import { Turns } from "./turns.ts";
import type { Waiters } from "./waiters.ts";

export interface SupervisorParts {
  readonly index: ContainerIndex;
  readonly launch: Launch;
  readonly runtime: Pick<RuntimePart, "exit">;
  readonly waiters: Waiters;
  readonly emit: Emit;
  /** RFC 3339 with nanoseconds. */
  readonly now: () => string;
  /** Told of what fails where no request is there to be told. */
  readonly report: (fault: Fault) => void;
}

export class Supervisor implements Disposable {
  readonly #parts: SupervisorParts;
  readonly #turns = new Turns();
  readonly #stopping = new AbortController();
  readonly #restarts = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
  }

  /**
   * Lets `event` happen to the container, when its turn comes. `guard` sees the record then, and may refuse by throwing
   * or by returning false.
   * @returns Whether it happened.
   * @throws The fault of a launch that failed.
   */
  async happen(
    id: string,
    event: LifecycleEvent,
    o: { readonly signal?: AbortSignal; readonly guard?: (record: ContainerRecord) => boolean } = {},
  ): Promise<boolean> {
    return await this.#turns.take(id, async () => {
      const record = this.#parts.index.find(id);
      if (record === undefined || o.guard?.(record) === false) return false;
      await this.#apply(record, event, o.signal ?? this.#stopping.signal);
      return true;
    });
  }

  /** The container's own turn for work that is no lifecycle event, such as a change of its name. */
  async exclusively<R>(id: string, work: () => Promise<R>): Promise<R> {
    return await this.#turns.take(id, work);
  }

  async #apply(record: ContainerRecord, event: LifecycleEvent, signal: AbortSignal): Promise<void> {
    const [after, actions] = next(record, event, this.#parts.now());
    if (after !== record) this.#parts.index.put(after);
    for (const action of actions) await this.#perform(after, action, signal);
    if (event.kind === "exited") this.#parts.waiters.exited(record.id, { exitCode: event.exitCode });
  }

  async #perform(record: ContainerRecord, action: Action, signal: AbortSignal): Promise<void> {
    switch (action.do) {
      case "launch":
        return await this.#launch(record, signal);
      case "watch":
        this.#parts.launch.attend(record);
        this.#watch(record.id);
        return;
      case "release":
        return await this.#parts.launch.release(record);
      case "remove":
        return await this.remove(record, action.volumes);
      case "restart-after":
        this.#arm(record.id, action.delayMs);
        return;
      case "emit":
        this.#parts.emit("container", action.action, record.id, {
          ...containerAttributes(record),
          ...action.attributes,
        });
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
      this.#parts.waiters.exited(record.id, { exitCode, error: fault.message });
      throw fault;
    }
    await this.#apply(record, { kind: "launched", pid }, signal);
    this.#parts.waiters.launched(record.id);
  }

  #watch(id: string): void {
    const follow = async (): Promise<void> => {
      const seen = await this.#parts.runtime.exit(id, { signal: this.#stopping.signal });
      await this.happen(id, { kind: "exited", ...seen });
    };
    follow().catch((thrown: unknown) => this.#reportUnlessStopping(thrown));
  }

  #arm(id: string, delayMs: number): void {
    this.#disarm(id);
    const restart = (): void => {
      this.#restarts.delete(id);
      this.happen(id, { kind: "restart-due" }).catch((thrown: unknown) => this.#reportUnlessStopping(thrown));
    };
    this.#restarts.set(id, setTimeout(restart, delayMs));
  }

  #disarm(id: string): void {
    clearTimeout(this.#restarts.get(id));
    this.#restarts.delete(id);
  }

  /** Takes away everything of the container, its record last. Idempotent. The caller has the container's turn. */
  async remove(record: ContainerRecord, volumes: boolean): Promise<void> {
    this.#disarm(record.id);
    const doomed: ContainerRecord = { ...record, desired: "removed" };
    this.#parts.index.put(doomed);
    await this.#parts.launch.discard(doomed, volumes);
    this.#parts.index.delete(record.id);
    if (record.purpose === undefined)
      this.#parts.emit("container", "destroy", record.id, containerAttributes(record));
    this.#parts.waiters.removed(record.id, { exitCode: record.observed.exitCode });
  }

  #reportUnlessStopping(thrown: unknown): void {
    if (!this.#stopping.signal.aborted) this.#parts.report(Fault.from(thrown));
  }

  /** Stops watching and restarting; containers run on. */
  [Symbol.dispose](): void {
    this.#stopping.abort();
    for (const timer of this.#restarts.values()) clearTimeout(timer);
    this.#restarts.clear();
  }
}
