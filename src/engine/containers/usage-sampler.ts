/**
 * One container's usage, read once a second for as long as somebody looks.
 * Owns: the timer. Promises: viewers share each reading; a viewer that is slow gets the newest and skips the rest; nobody
 * looking costs nothing.
 */
import type { ContainerRecord } from "#spec/container.ts";
import type { UsageSample } from "#spec/usage.ts";

/** Two readings, the older one first; without any where the container does not run. */
export interface UsageView {
  readonly container: Pick<ContainerRecord, "id" | "name">;
  readonly previous?: UsageSample | undefined;
  readonly sample?: UsageSample | undefined;
}

export const sampleEveryMs = 1000;

/** Undefined: the container is gone. */
export type Reading = Omit<UsageView, "previous"> | undefined;

export class UsageSampler {
  readonly #read: () => Promise<Reading>;
  readonly #viewers = new Set<Viewer>();
  #last: UsageSample | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(read: () => Promise<Reading>) {
    this.#read = read;
  }

  get idle(): boolean {
    return this.#viewers.size === 0;
  }

  /** The first one to look gets the first reading at once. */
  join(): Viewer {
    const viewer = new Viewer(() => {
      this.#viewers.delete(viewer);
      if (!this.idle) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#last = undefined;
    });
    this.#viewers.add(viewer);
    if (this.#viewers.size === 1) this.#tick();
    return viewer;
  }

  #tick(): void {
    const timer = setTimeout(() => this.#tick(), sampleEveryMs);
    this.#timer = timer;
    this.#read().then(
      (reading) => {
        // Nobody looks any more, or others who began afresh.
        if (this.#timer !== timer) return;
        if (reading === undefined) {
          clearTimeout(timer);
          for (const viewer of this.#viewers) viewer.end();
          return;
        }
        const view = { ...reading, previous: this.#last };
        this.#last = reading.sample;
        for (const viewer of this.#viewers) viewer.show(view);
      },
      (thrown: unknown) => {
        for (const viewer of this.#viewers) viewer.fail(thrown);
      },
    );
  }
}

/** A place for the newest view. Disposing leaves. */
export class Viewer implements Disposable {
  readonly #leave: () => void;
  #newest: UsageView | undefined;
  #ended = false;
  #failure: unknown;
  #change = Promise.withResolvers<void>();

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  show(view: UsageView): void {
    this.#newest = view;
    this.#change.resolve();
  }

  end(): void {
    this.#ended = true;
    this.#change.resolve();
  }

  fail(thrown: unknown): void {
    this.#failure = thrown;
    this.end();
  }

  /** The newest that was not taken yet, when there is one; undefined once the container is gone. */
  async next(): Promise<UsageView | undefined> {
    await this.#change.promise;
    const view = this.#newest;
    this.#newest = undefined;
    if (!this.#ended) this.#change = Promise.withResolvers();
    if (view !== undefined) return view;
    if (this.#failure !== undefined) throw this.#failure;
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#leave();
  }
}
