/**
 * What running containers do: what they use, which processes they have.
 * Owns: one sampler for each container that somebody looks at. Never: changes anything.
 */

import { abortable } from "#engine/abortable.ts";
import type { Emit } from "#engine/emit.ts";
import { containerAttributes } from "#engine/event-attributes.ts";
import type { ContainerIndex } from "#engine/lifecycle/container-index.ts";
import { isLive } from "#engine/lifecycle/lifecycle.ts";
import type { Waiting } from "#engine/parts.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { UsageSample } from "#spec/usage.ts";
import { type Reading, UsageSampler, type UsageView } from "./usage-sampler.ts";

export interface ProcessTable {
  readonly titles: readonly string[];
  readonly processes: readonly (readonly string[])[];
}

/** What looking needs of the runtime. */
export interface LookingRuntime {
  /** @throws Fault `conflict` when it does not run. */
  usage(record: ContainerRecord): Promise<Omit<UsageSample, "readAt">>;
  processes(record: ContainerRecord, args: string): Promise<ProcessTable>;
}

export interface LookingParts {
  readonly index: ContainerIndex;
  readonly runtime: LookingRuntime;
  readonly emit: Emit;
  readonly now: () => string;
}

export class Looking {
  readonly #parts: LookingParts;
  readonly #samplers = new Map<string, UsageSampler>();

  constructor(parts: LookingParts) {
    this.#parts = parts;
  }

  /** One reading now; none of a container that does not run. @throws Fault `not-found`. */
  async usage(reference: string): Promise<UsageView> {
    const container = this.#parts.index.get(reference);
    return { container, sample: await this.#sample(container) };
  }

  /** A view each second until the container is removed, the first one at once. @throws Fault `not-found` at once. */
  watchUsage(reference: string, o: Waiting): AsyncIterable<UsageView> {
    const { id } = this.#parts.index.get(reference);
    return this.#watch(id, o.signal);
  }

  async *#watch(id: string, signal: AbortSignal): AsyncGenerator<UsageView> {
    const sampler = this.#samplers.get(id) ?? new UsageSampler(async () => await this.#read(id));
    this.#samplers.set(id, sampler);
    const viewer = sampler.join();
    try {
      for (;;) {
        const view = await abortable(viewer.next(), signal);
        if (view === undefined) return;
        yield view;
      }
    } finally {
      viewer[Symbol.dispose]();
      if (sampler.idle) this.#samplers.delete(id);
    }
  }

  async #read(id: string): Promise<Reading> {
    const container = this.#parts.index.find(id);
    return container === undefined ? undefined : { container, sample: await this.#sample(container) };
  }

  async #sample(record: ContainerRecord): Promise<UsageSample | undefined> {
    if (!isLive(record)) return undefined;
    try {
      return { readAt: this.#parts.now(), ...(await this.#parts.runtime.usage(record)) };
    } catch (thrown) {
      // It has just ended.
      if (Fault.from(thrown).kind === "conflict") return undefined;
      throw thrown;
    }
  }

  /** @throws Fault `not-found`, `conflict` when it does not run, and what the runtime says of `args`. */
  async processes(reference: string, args: string): Promise<ProcessTable> {
    const record = this.#parts.index.get(reference);
    if (record.observed.status === "restarting")
      throw new Fault(
        "conflict",
        `Container ${record.id} is restarting, wait until the container is running`,
      );
    if (!isLive(record)) throw new Fault("conflict", `container ${record.id} is not running`);
    const table = await this.#parts.runtime.processes(record, args);
    this.#parts.emit("container", "top", record.id, containerAttributes(record));
    return table;
  }
}
