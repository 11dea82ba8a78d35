/**
 * What one build tells, for everyone who watches it, from the beginning.
 * Owns: the events of a build. Promises: a watcher that comes late misses nothing but output beyond `logBytesMax`; many
 * events that happened meanwhile go out as one message. Never: makes the build wait.
 */
import type {
  BuildProgress,
  BuildWarning,
  Vertex,
  VertexLog,
  VertexStatus,
} from "#build/request/progress.ts";
import type { StatusWritten } from "#spec/buildkit-control.ts";
import { nanoOfFineMillis } from "#spec/unix-time.ts";
import { placesOf, sourceInfo } from "./places.ts";

/** Output kept of one build; what comes after is left out, with a note. */
export const logBytesMax = 64 << 20;
/** Of output in one message. */
const messageBytesMax = 1 << 20;

type Event = {
  readonly [Kind in keyof StatusWritten]-?: readonly [Kind, NonNullable<StatusWritten[Kind]>[number]];
}[keyof StatusWritten];

export class StatusFeed implements BuildProgress {
  readonly #events: Event[] = [];
  readonly #vertices = new Map<string, Vertex>();
  readonly #wakes = new Set<() => void>();
  #logBytes = 0;
  #ended = false;
  #warnings = 0;

  vertex(vertex: Vertex): void {
    this.#vertices.set(vertex.digest, vertex);
    this.#add([
      "vertexes",
      {
        digest: vertex.digest,
        inputs: vertex.inputs,
        name: vertex.name,
        cached: vertex.cached === true,
        started: nano(vertex.startedMs),
        completed: nano(vertex.completedMs),
        error: vertex.error,
        progressGroup: vertex.group,
      },
    ]);
  }

  log({ vertex, stream, bytes, timeMs }: VertexLog): void {
    if (this.#logBytes > logBytesMax) return;
    this.#logBytes += bytes.length;
    const clipped = this.#logBytes > logBytesMax;
    const msg = clipped ? Buffer.from(`\n[output clipped, ${logBytesMax >> 20}MiB are kept]\n`) : bytes;
    for (let at = 0; at < msg.length; at += messageBytesMax)
      this.#add([
        "logs",
        {
          vertex,
          timestamp: nano(timeMs),
          stream: stream === "stdout" ? 1 : 2,
          msg: msg.subarray(at, at + messageBytesMax),
        },
      ]);
  }

  status(status: VertexStatus): void {
    this.#add([
      "statuses",
      {
        ID: status.id,
        vertex: status.vertex,
        current: status.current,
        total: status.total,
        timestamp: nano(status.timeMs),
        started: nano(status.startedMs),
        completed: nano(status.completedMs),
      },
    ]);
  }

  warning(warning: BuildWarning): void {
    this.#warnings++;
    this.#add([
      "warnings",
      {
        vertex: warning.vertex,
        level: 1,
        short: Buffer.from(warning.short),
        detail: warning.detail === "" ? [] : [Buffer.from(warning.detail)],
        url: warning.url,
        info: sourceInfo(warning.source),
        ranges: placesOf(warning.lines, warning.source, warning.short),
      },
    ]);
  }

  /** Nothing more comes. Idempotent. */
  end(): void {
    this.#ended = true;
    this.#rouse();
  }

  get counts(): {
    readonly total: number;
    readonly cached: number;
    readonly completed: number;
    readonly warnings: number;
  } {
    const all = [...this.#vertices.values()];
    const completed = all.filter(({ completedMs }) => completedMs !== undefined);
    const cached = completed.filter((each) => each.cached === true).length;
    return { total: all.length, cached, completed: completed.length, warnings: this.#warnings };
  }

  /** All so far; the beginnings and ends of steps in messages of their own, so that what is shown keeps to the order. */
  *told(): Generator<StatusWritten> {
    for (let next = 0; next < this.#events.length; ) {
      const [message, after] = this.#gather(next, true);
      next = after;
      yield message;
    }
  }

  /** Ends when the build has, and the signal. */
  async *watch(signal: AbortSignal): AsyncGenerator<StatusWritten, void, undefined> {
    const stop = (): void => this.#rouse();
    signal.addEventListener("abort", stop, { once: true });
    try {
      for (let next = 0; !signal.aborted; ) {
        if (next < this.#events.length) {
          const [message, after] = this.#gather(next);
          next = after;
          yield message;
        } else if (this.#ended) return;
        else await this.#more();
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #gather(from: number, inOrder = false): [StatusWritten, number] {
    const message = { vertexes: [], statuses: [], logs: [], warnings: [] } as Record<
      keyof StatusWritten,
      unknown[]
    >;
    let bytes = 0;
    let at = from;
    for (; at < this.#events.length && bytes < messageBytesMax; at++) {
      const [kind, value] = this.#events[at] as Event;
      if (inOrder && at > from && (isTurn(this.#events[at - 1]) || isTurn([kind, value] as Event))) break;
      message[kind].push(value);
      bytes += kind === "logs" ? ((value as { msg?: Uint8Array }).msg?.length ?? 0) + 128 : 256;
    }
    return [message as StatusWritten, at];
  }

  #more(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakes.add(resolve);
    return promise;
  }

  #add(event: Event): void {
    if (this.#ended) return;
    this.#events.push(event);
    this.#rouse();
  }

  #rouse(): void {
    for (const wake of this.#wakes) wake();
    this.#wakes.clear();
  }
}

/** The beginning or end of a step. */
function isTurn(event: Event | undefined): boolean {
  return event?.[0] === "vertexes" && event[1].started !== undefined;
}

/** Equal milliseconds are equal nanoseconds: clients tell runs of a vertex apart by when they started. */
function nano(ms: number | undefined): bigint | undefined {
  return ms === undefined ? undefined : nanoOfFineMillis(ms);
}
