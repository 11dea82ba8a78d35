/** Work that several wait for and that is done once. */

interface Running<Result, News> {
  readonly result: Promise<Result>;
  readonly listeners: Set<(news: News) => void>;
  readonly stop: AbortController;
  latest: News | undefined;
}

/** By key. The work goes on while anybody still waits for it, and is called off with the last one. */
export class SharedWork<Key, Result, News> {
  readonly #running = new Map<Key, Running<Result, News>>();

  /** Joins what runs under `key`, or begins it. `tell` hears the latest news at once, then all that follow. */
  async join(
    key: Key,
    work: (signal: AbortSignal, tell: (news: News) => void) => Promise<Result>,
    o: { readonly signal: AbortSignal; readonly tell: (news: News) => void },
  ): Promise<Result> {
    o.signal.throwIfAborted();
    const running = this.#running.get(key) ?? this.#begin(key, work);
    running.listeners.add(o.tell);
    if (running.latest !== undefined) o.tell(running.latest);
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = () => reject(o.signal.reason);
    o.signal.addEventListener("abort", leave);
    try {
      return await Promise.race([running.result, left]);
    } finally {
      o.signal.removeEventListener("abort", leave);
      running.listeners.delete(o.tell);
      if (running.listeners.size === 0) {
        if (this.#running.get(key) === running) this.#running.delete(key);
        running.stop.abort(o.signal.reason);
      }
    }
  }

  #begin(
    key: Key,
    work: (signal: AbortSignal, tell: (news: News) => void) => Promise<Result>,
  ): Running<Result, News> {
    const stop = new AbortController();
    const listeners = new Set<(news: News) => void>();
    const running: Running<Result, News> = {
      stop,
      listeners,
      latest: undefined,
      result: work(stop.signal, (news) => {
        running.latest = news;
        for (const tell of listeners) tell(news);
      }).finally(() => {
        if (this.#running.get(key) === running) this.#running.delete(key);
      }),
    };
    running.result.catch(() => undefined);
    this.#running.set(key, running);
    return running;
  }
}
