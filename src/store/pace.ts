/** Reading much without being in the way of others: not faster than a bound, and a breath in between. */
import { Breath } from "./breath.ts";

/** What a look through the whole store may read from disk. */
export const paceBytesPerSecond = 256 << 20;

export class Pace {
  readonly #breath: Breath;
  readonly #signal: AbortSignal;
  readonly #bytesPerSecond: number;
  readonly #from = performance.now();
  #bytes = 0;

  constructor(signal: AbortSignal, bytesPerSecond = paceBytesPerSecond) {
    this.#signal = signal;
    this.#breath = new Breath(signal);
    this.#bytesPerSecond = bytesPerSecond;
  }

  get readBytes(): number {
    return this.#bytes;
  }

  /** Behind so many bytes. @throws The signal's reason. */
  async step(bytes: number): Promise<void> {
    this.#bytes += bytes;
    this.#signal.throwIfAborted();
    const aheadMs = (this.#bytes / this.#bytesPerSecond) * 1000 - (performance.now() - this.#from);
    if (aheadMs > 20) await Bun.sleep(aheadMs);
    else if (this.#breath.due) await this.#breath.take();
  }
}
