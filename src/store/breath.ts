/** Pauses in long synchronous work, so that everything else in the process gets its turn. */

/** Work this long at a stretch is not felt by others. */
const stretchMs = 10;

export class Breath {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** True when it is time to await `take()`; cheap enough for every small step. */
  get due(): boolean {
    return performance.now() - this.#since >= stretchMs;
  }

  /** Lets others run. @throws what the signal was aborted with. */
  async take(): Promise<void> {
    await new Promise(setImmediate);
    this.#since = performance.now();
    this.#signal?.throwIfAborted();
  }
}
