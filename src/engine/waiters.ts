/** Those who wait for a container's end: `wait`, `stop`, attached streams. In memory; a client of a dead engine asks again. */
export interface Exit {
  readonly exitCode: number;
  readonly error?: string | undefined;
}

export class Waiters {
  readonly #exits = new Map<string, PromiseWithResolvers<Exit>>();
  readonly #removals = new Map<string, PromiseWithResolvers<Exit>>();

  /** Resolves when the container's process next ends, or the container is removed without running again. */
  nextExit(id: string): Promise<Exit> {
    return slot(this.#exits, id).promise;
  }

  /** Resolves when the container is gone, with the code of its last run. */
  removal(id: string): Promise<Exit> {
    return slot(this.#removals, id).promise;
  }

  exited(id: string, exit: Exit): void {
    this.#exits.get(id)?.resolve(exit);
    this.#exits.delete(id);
  }

  removed(id: string, exit: Exit): void {
    this.exited(id, exit);
    this.#removals.get(id)?.resolve(exit);
    this.#removals.delete(id);
  }
}

function slot(slots: Map<string, PromiseWithResolvers<Exit>>, id: string): PromiseWithResolvers<Exit> {
  const known = slots.get(id);
  if (known !== undefined) return known;
  const made = Promise.withResolvers<Exit>();
  slots.set(id, made);
  return made;
}
