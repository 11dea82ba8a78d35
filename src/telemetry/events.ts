/**
 * What happened, kept and told.
 * Owns: the journal of events. Promises: an event is stored before it is told; followers see every event in order, or
 * are told that they were too slow. Never: lets a follower hold up what happens.
 */
import type { EngineEvent } from "#spec/event.ts";
import { Fault } from "#spec/fault.ts";
import type { Journal, Records } from "#store/records.ts";

/** Events kept for `--since`. */
const keptMax = 10_000;
/** Appends between looks at how many there are. */
const trimEvery = 1000;
/** Events that wait for one follower. */
const queueMax = 1024;

export class Events {
  readonly #journal: Journal<Omit<EngineEvent, "timeNano">>;
  readonly #followers = new Set<(event: EngineEvent) => void>();
  readonly #nowNano: () => bigint;
  #sinceTrim = 0;

  private constructor(records: Records, nowNano: () => bigint) {
    this.#journal = records.journal("events");
    this.#nowNano = nowNano;
  }

  static open(records: Records, nowNano: () => bigint): Events {
    const events = new Events(records, nowNano);
    events.#journal.trim(keptMax);
    return events;
  }

  append(event: EngineEvent): void {
    const { timeNano, ...value } = event;
    this.#journal.append(timeNano, value);
    if (++this.#sinceTrim >= trimEvery) {
      this.#sinceTrim = 0;
      this.#journal.trim(keptMax);
    }
    for (const tell of this.#followers) tell(event);
  }

  /** Tells that things nobody used were removed, and how many bytes that gave back. */
  pruned(type: EngineEvent["type"], reclaimedBytes: number): void {
    const actor = { id: "", attributes: { reclaimed: String(reclaimedBytes) } };
    this.append({ type, action: "prune", actor, timeNano: this.#nowNano() });
  }

  /** Stored events in order; both ends belong to the range. */
  *replay(sinceNano: bigint, untilNano?: bigint): Generator<EngineEvent> {
    for (const { timeNano, value } of this.#journal.range(sinceNano, untilNano)) yield { ...value, timeNano };
  }

  /**
   * Events from the call on, until the signal. Its queue begins at the call, not with the first read.
   * @throws Fault `unavailable` when too many wait to be read.
   */
  follow(o: { readonly signal: AbortSignal }): AsyncIterable<EngineEvent> {
    const queue: EngineEvent[] = [];
    let overrun = false;
    let wake = (): void => undefined;
    const tell = (event: EngineEvent): void => {
      if (queue.length >= queueMax) overrun = true;
      else queue.push(event);
      wake();
    };
    const leave = (): void => {
      this.#followers.delete(tell);
      wake();
    };
    this.#followers.add(tell);
    o.signal.addEventListener("abort", leave, { once: true });
    if (o.signal.aborted) leave();
    const followers = this.#followers;
    return (async function* () {
      try {
        while (!o.signal.aborted) {
          const event = queue.shift();
          if (event !== undefined) yield event;
          else if (overrun)
            throw new Fault(
              "unavailable",
              `more than ${queueMax} events were not read: ask again with --since`,
            );
          else
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
      } finally {
        followers.delete(tell);
        o.signal.removeEventListener("abort", leave);
      }
    })();
  }
}
