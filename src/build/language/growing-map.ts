/**
 * Pure. Maps in the order of first naming, of which every version stays as it is and going on from the newest costs no copy.
 * The newest version holds the entries, an older one how it differs from the next; who looks into an older one gets a copy.
 */

interface Held<V> {
  readonly entries: Map<string, V>;
}

interface Differs<V> {
  readonly from: GrowingMap<V>;
  readonly key: string;
  readonly had: boolean;
  readonly value: V | undefined;
}

export class GrowingMap<V> {
  #state: Held<V> | Differs<V>;

  private constructor(state: Held<V>) {
    this.#state = state;
  }

  static of<V>(entries: Iterable<readonly [string, V]>): GrowingMap<V> {
    return new GrowingMap<V>({ entries: new Map(entries) });
  }

  get size(): number {
    return this.#entries().size;
  }

  has(key: string): boolean {
    return this.#entries().has(key);
  }

  get(key: string): V | undefined {
    return this.#entries().get(key);
  }

  keys(): string[] {
    return [...this.#entries().keys()];
  }

  values(): V[] {
    return [...this.#entries().values()];
  }

  toObject(): Record<string, V> {
    return Object.fromEntries(this.#entries());
  }

  /** A version with that entry; this one stays as it is. */
  with(key: string, value: V): GrowingMap<V> {
    const entries = this.#entries();
    const had = entries.has(key);
    const before = entries.get(key);
    if (had && before === value) return this;
    const next = new GrowingMap<V>({ entries });
    entries.set(key, value);
    this.#state = { from: next, key, had, value: before };
    return next;
  }

  #entries(): Map<string, V> {
    if ("entries" in this.#state) return this.#state.entries;
    const chain: { version: GrowingMap<V>; differs: Differs<V> }[] = [];
    let newest: GrowingMap<V> = this;
    for (let state = newest.#state; !("entries" in state); state = newest.#state) {
      chain.push({ version: newest, differs: state });
      newest = state.from;
    }
    const { entries } = newest.#state as Held<V>;
    // Entries that were added come off the end, in the opposite order: those that stay keep theirs.
    const mine = new Map(entries);
    for (const { differs } of chain.reverse())
      if (differs.had) mine.set(differs.key, differs.value as V);
      else mine.delete(differs.key);
    this.#state = { entries: mine };
    return mine;
  }
}
