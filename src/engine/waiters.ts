/** Those who wait for a container's end: `wait`, `stop`, attached streams. In memory; a client of a dead engine asks again. */
export interface Exit {
  readonly exitCode: number;
  readonly error?: string | undefined;
}

export class Waiters {
  readonly #exits = new Map<string, PromiseWithResolvers<Exit>>();
  readonly #removals = new Map<string, PromiseWithResolvers<Exit>>();
  readonly #launches = new Map<string, PromiseWithResolvers<void>>();

  /** Resolves when the container's process next ends, or the container is removed without running again. */
  nextExit(id: string): Promise<Exit> {
    return slot(this.#exits, id).promise;
  }

  /** Resolves when the container is gone, with the code of its last run. */
  removal(id: string): Promise<Exit> {
    return slot(this.#removals, id).promise;
  }

  /** Resolves when the container's process next runs. Never, when it is removed before. */
  nextLaunch(id: string): Promise<void> {
    return slot(this.#launches, id).promise;
  }

  launched(id: string): void {
    this.#launches.get(id)?.resolve();
    this.#launches.delete(id);
  }

  exited(id: string, exit: Exit): void {
    this.#exits.get(id)?.resolve(exit);
    this.#exits.delete(id);
  }

  removed(id: string, exit: Exit): void {
    this.exited(id, exit);
    this.#removals.get(id)?.resolve(exit);
    this.#removals.delete(id);
    this.#launches.delete(id);
  }
}

function slot<T>(slots: Map<string, PromiseWithResolvers<T>>, id: string): PromiseWithResolvers<T> {
  const known = slots.get(id);
  if (known !== undefined) return known;
  const made = Promise.withResolvers<T>();
  slots.set(id, made);
  return made;
}
