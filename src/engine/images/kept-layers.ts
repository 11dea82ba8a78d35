/**
 * Layers that stay although no image has them: those of the build cache.
 * Owns: the record of them. Promises: what is kept survives the engine, and images may go without it.
 */
import type { ChainId } from "#spec/digest.ts";
import type { Records, Table } from "#store/records.ts";

export class KeptLayers {
  readonly #table: Table<{ readonly owner: string }>;

  constructor(records: Records) {
    this.#table = records.table("kept-layers");
  }

  /** Idempotent; the owner is for whoever asks why. */
  keep(chainId: ChainId, owner: string): void {
    this.#table.put(chainId, { owner });
  }

  /** Idempotent. The layer itself goes with the next collection, if nothing else needs it. */
  release(chainId: ChainId): void {
    this.#table.delete(chainId);
  }

  list(): ChainId[] {
    return this.#table.entries().map(([chainId]) => chainId as ChainId);
  }
}
