/** Pure. What a pull or push says while it goes on, as Docker says it, and not more often than anybody can read. */
import type { JsonMessage } from "#spec/docker-wire.ts";

export type Tell = (message: JsonMessage) => void;

/** Between two counts of the same layer, in milliseconds. */
const countEveryMs = 100;

/** The lines of one layer. */
export class LayerProgress {
  readonly #tell: Tell;
  readonly #id: string;
  #countedMs = -countEveryMs;

  constructor(tell: Tell, id: string) {
    this.#tell = tell;
    this.#id = id;
  }

  say(status: string): void {
    this.#tell({ status, progressDetail: {}, id: this.#id });
  }

  count(status: string, current: number, total: number): void {
    const now = performance.now();
    if (now - this.#countedMs < countEveryMs) return;
    this.#countedMs = now;
    this.#tell({ status, progressDetail: { current, total }, id: this.#id });
  }
}
