/**
 * What nobody may clear away although no record speaks of it yet: the layers and blobs of a pull or load in progress.
 * Lives in memory only: what an engine's death leaves without a record is garbage.
 */
import type { Digest } from "#spec/digest.ts";

export class Leases {
  readonly #held = new Map<Digest, number>();

  /** Until disposed. Several may hold the same. */
  hold(digests: Iterable<Digest>): Disposable {
    const mine = [...digests];
    for (const digest of mine) this.#held.set(digest, (this.#held.get(digest) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        for (const digest of mine.splice(0)) {
          const left = (this.#held.get(digest) ?? 1) - 1;
          if (left === 0) this.#held.delete(digest);
          else this.#held.set(digest, left);
        }
      },
    };
  }

  has(digest: Digest): boolean {
    return this.#held.has(digest);
  }

  all(): Digest[] {
    return [...this.#held.keys()];
  }
}
