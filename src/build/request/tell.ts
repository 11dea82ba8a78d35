/** Work told as a vertex: begun, what it says, ended well or not. */
import type { Digest } from "#spec/digest.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import type { BuildProgress, Vertex } from "./progress.ts";

export type Described = Pick<Vertex, "digest" | "name" | "inputs" | "group">;

/** Milliseconds since 1970 with fractions: two moments of a build differ. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Runs `work` as the vertex. `heard` is told what it says. */
export async function during<T>(
  progress: BuildProgress,
  vertex: Described,
  work: (heard: VertexVoice) => Promise<T>,
): Promise<T> {
  const startedMs = nowMs();
  progress.vertex({ ...vertex, startedMs });
  try {
    const result = await work(new VertexVoice(progress, vertex.digest));
    progress.vertex({ ...vertex, startedMs, completedMs: nowMs() });
    return result;
  } catch (thrown) {
    const fault = Fault.from(thrown);
    const error = fault.kind === "cancelled" ? "context canceled" : fault.message;
    progress.vertex({ ...vertex, startedMs, completedMs: nowMs(), error });
    throw thrown;
  }
}

/** It need not be done. */
export function tellCached(progress: BuildProgress, vertex: Described): void {
  const startedMs = nowMs();
  progress.vertex({ ...vertex, startedMs, completedMs: startedMs, cached: true });
}

/** It could not even be begun. */
export function tellFailed(progress: BuildProgress, vertex: Described, fault: Fault): void {
  const startedMs = nowMs();
  progress.vertex({ ...vertex, startedMs, completedMs: startedMs, error: fault.message });
}

/** Between two words about one transfer. */
const meterMs = 100;

/** Bytes of a transfer on their way. */
export interface Meter {
  readonly told: (bytes: number) => void;
  readonly done: () => void;
}

export class VertexVoice {
  readonly #progress: BuildProgress;
  readonly #vertex: Digest;
  readonly #started = new Map<string, number>();

  constructor(progress: BuildProgress, vertex: Digest) {
    this.#progress = progress;
    this.#vertex = vertex;
  }

  log(stream: "stdout" | "stderr", bytes: Uint8Array): void {
    this.#progress.log({ vertex: this.#vertex, stream, bytes, timeMs: nowMs() });
  }

  /** Bytes so far, of all where that is known. */
  status(id: string, current: number, o: { readonly total?: number; readonly done?: boolean } = {}): void {
    const timeMs = nowMs();
    const startedMs = this.#started.get(id) ?? timeMs;
    this.#started.set(id, startedMs);
    const { total = 0, done = false } = o;
    const completedMs = done ? timeMs : undefined;
    this.#progress.status({ id, vertex: this.#vertex, current, total, timeMs, startedMs, completedMs });
  }

  /** For what counts every file: not each of its words is passed on. */
  meter(id: string): Meter {
    let [bytes, saidMs] = [0, 0];
    return {
      told: (now) => {
        bytes = now;
        if (nowMs() - saidMs < meterMs) return;
        saidMs = nowMs();
        this.status(id, bytes);
      },
      done: () => this.status(id, bytes, { done: true }),
    };
  }

  /** A line of a pull. */
  pull({ id, status = "", progressDetail }: JsonMessage): void {
    if (id === undefined || id === "") return;
    const done = /complete|exists/i.test(status);
    const shown = /^Extract|Pull complete/.test(status) ? `extracting ${id}` : id;
    this.status(shown, progressDetail?.current ?? 0, { total: progressDetail?.total ?? 0, done });
  }
}
