/** Things by their key, for which others may wait before they are there. */
export class AwaitedMap<T> extends Map<string, T> {
  readonly #waiting = new Map<string, Set<() => void>>();

  override set(key: string, value: T): this {
    super.set(key, value);
    for (const wake of this.#waiting.get(key) ?? []) wake();
    return this;
  }

  /** Waits for one that is on its way; undefined when it has not come in time. @throws The signal's reason. */
  async find(key: string, waitMs: number, signal: AbortSignal): Promise<T | undefined> {
    const there = this.get(key);
    if (there !== undefined) return there;
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting.add(wake));
    const timer = setTimeout(wake, waitMs);
    signal.addEventListener("abort", wake);
    await promise;
    clearTimeout(timer);
    signal.removeEventListener("abort", wake);
    waiting.delete(wake);
    if (waiting.size === 0) this.#waiting.delete(key);
    signal.throwIfAborted();
    return this.get(key);
  }
}
