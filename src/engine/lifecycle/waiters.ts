/** Those who wait for a container's end: `wait`, `stop`, attached streams. In memory; a client of a dead engine asks again. */
export interface Exit {
  readonly exitCode: number;
  readonly error?: string | undefined;
}

/** All waits end with the container's next turn or, when a signal is given and fires, never: nothing is kept of them then. */
export class Waiters {
  readonly #exits = new Waits<Exit>();
  readonly #removals = new Waits<Exit>();
  readonly #launches = new Waits<void>();

  /** Resolves when the container's process next ends, or the container is removed without running again. */
  async nextExit(id: string, signal?: AbortSignal): Promise<Exit> {
    return await this.#exits.add(id, signal);
  }

  /** Resolves when the container is gone, with the code of its last run. */
  async removal(id: string, signal?: AbortSignal): Promise<Exit> {
    return await this.#removals.add(id, signal);
  }

  /** Resolves when the container's process next runs. Never, when it is removed before. */
  async nextLaunch(id: string, signal?: AbortSignal): Promise<void> {
    await this.#launches.add(id, signal);
  }

  launched(id: string): void {
    this.#launches.settle(id, undefined);
  }

  exited(id: string, exit: Exit): void {
    this.#exits.settle(id, exit);
  }

  removed(id: string, exit: Exit): void {
    this.exited(id, exit);
    this.#removals.settle(id, exit);
    this.#launches.forget(id);
  }

  /** How many wait for anything of this container. */
  count(id: string): number {
    return this.#exits.count(id) + this.#removals.count(id) + this.#launches.count(id);
  }
}

/**
 * Promises by key. One for all who wait would be kept, with everything that hangs on it, by each client that came and
 * went while a container runs for months.
 */
class Waits<T> {
  readonly #byKey = new Map<string, Set<(value: T) => void>>();

  add(key: string, signal: AbortSignal | undefined): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<T>();
    if (signal?.aborted === true) return promise;
    const waiting = this.#byKey.get(key) ?? new Set();
    this.#byKey.set(key, waiting);
    const leave = (): void => {
      waiting.delete(settle);
      if (waiting.size === 0 && this.#byKey.get(key) === waiting) this.#byKey.delete(key);
    };
    const settle = (value: T): void => {
      signal?.removeEventListener("abort", leave);
      resolve(value);
    };
    waiting.add(settle);
    signal?.addEventListener("abort", leave, { once: true });
    return promise;
  }

  settle(key: string, value: T): void {
    const waiting = this.#byKey.get(key) ?? [];
    this.#byKey.delete(key);
    for (const resolve of waiting) resolve(value);
  }

  forget(key: string): void {
    this.#byKey.delete(key);
  }

  count(key: string): number {
    return this.#byKey.get(key)?.size ?? 0;
  }
}
