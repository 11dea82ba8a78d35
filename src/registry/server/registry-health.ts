/**
 * Whether a registry's store can be used, for who asks `/healthz`.
 * Promises: writes once, then reads, at most once in `keptMs` however many ask: whoever watches it costs nothing.
 */

import type { Depot } from "#registry/depot/depot.ts";
import { Fault } from "#spec/fault.ts";

/** How long an answer holds, in milliseconds. */
const keptMs = 1000;
const key = "health";

export class RegistryHealth {
  readonly #depot: Pick<Depot, "read" | "write">;
  readonly #now: () => number;
  #written = false;
  #asked: { readonly atMs: number; readonly trouble: Promise<string | undefined> } | undefined;

  constructor(depot: Pick<Depot, "read" | "write">, now: () => number = () => performance.now()) {
    this.#depot = depot;
    this.#now = now;
  }

  /** What is wrong, in a sentence; undefined when nothing is. Never throws. */
  async trouble(): Promise<string | undefined> {
    const now = this.#now();
    if (this.#asked === undefined || now - this.#asked.atMs >= keptMs)
      this.#asked = { atMs: now, trouble: this.#look().catch((error) => Fault.from(error).message) };
    return await this.#asked.trouble;
  }

  async #look(): Promise<string | undefined> {
    if (!this.#written) await this.#depot.write(key, "ok");
    this.#written = true;
    if ((await this.#depot.read(key)) !== undefined) return undefined;
    this.#written = false;
    return "the store has lost what was written to it: look whether its disk is mounted";
  }
}
