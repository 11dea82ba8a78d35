/**
 * Builds that were made, for `buildx history`.
 * Owns: the table of them. Promises: the newest `historyMax` and all pinned ones are kept, also across restarts.
 */
import { EventEmitter, on } from "node:events";
import {
  type HistoryEventWritten,
  type HistoryRequest,
  type HistoryWritten,
  historyEvent,
  type SolveRequest,
} from "#spec/buildkit-control.ts";
import { Fault } from "#spec/fault.ts";
import type { RpcStatus } from "#spec/grpc-status.ts";
import { nanoOfFineMillis } from "#spec/unix-time.ts";
import type { Records, Table } from "#store/records.ts";

/** Kept, beside pinned ones. */
export const historyMax = 200;

/** Times are milliseconds since 1970. */
export interface MadeBuild {
  readonly ref: string;
  readonly frontend: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly exporters: SolveRequest["Exporters"];
  readonly startedMs: number;
  readonly completedMs?: number | undefined;
  readonly error?: Pick<RpcStatus, "code" | "message"> | undefined;
  readonly answer: Readonly<Record<string, string>>;
  readonly pinned: boolean;
  readonly steps: {
    readonly total: number;
    readonly cached: number;
    readonly completed: number;
    readonly warnings: number;
  };
}

export class BuildHistory {
  readonly #table: Table<MadeBuild>;
  readonly #active = new Map<string, MadeBuild>();
  readonly #events = new EventEmitter().setMaxListeners(0);

  constructor(records: Records) {
    this.#table = records.table("build-history");
  }

  begin(build: MadeBuild): void {
    this.#active.set(build.ref, build);
    this.#tell(historyEvent.started, build);
  }

  end(build: MadeBuild): void {
    this.#active.delete(build.ref);
    this.#table.put(build.ref, build);
    const old = this.#newestFirst().filter(({ pinned }) => !pinned);
    for (const { ref } of old.slice(historyMax)) this.#table.delete(ref);
    this.#tell(historyEvent.complete, build);
  }

  /** @throws Fault `not-found`. */
  update(
    ref: string,
    o: { readonly pinned: boolean; readonly remove: boolean; readonly finalize: boolean },
  ): void {
    const build = this.#table.get(ref);
    if (build === undefined) throw new Fault("not-found", `failed to update ${ref}: not found`);
    if (o.remove) {
      this.#table.delete(ref);
      this.#tell(historyEvent.deleted, build);
    } else if (!o.finalize) this.#table.put(ref, { ...build, pinned: o.pinned });
  }

  /** What there is, then, unless asked to leave, what happens. */
  async *listen(
    request: HistoryRequest,
    signal: AbortSignal,
  ): AsyncGenerator<HistoryEventWritten, void, undefined> {
    const wanted = ({ ref }: MadeBuild): boolean => request.Ref === "" || request.Ref === ref;
    const past = request.ActiveOnly ? [] : this.#newestFirst();
    const limited = request.Limit > 0 ? past.slice(0, request.Limit) : past;
    const coming = on(this.#events, "event", { signal });
    for (const build of [...this.#active.values()].filter(wanted)) yield event(historyEvent.started, build);
    for (const build of limited.filter(wanted)) yield event(historyEvent.complete, build);
    if (request.EarlyExit) return;
    for await (const [type, build] of coming as AsyncIterable<[number, MadeBuild]>)
      if (wanted(build)) yield event(type, build);
  }

  #newestFirst(): MadeBuild[] {
    return this.#table.list().sort((left, right) => right.startedMs - left.startedMs);
  }

  #tell(type: number, build: MadeBuild): void {
    this.#events.emit("event", type, build);
  }
}

function event(type: number, build: MadeBuild): HistoryEventWritten {
  const record: HistoryWritten = {
    Ref: build.ref,
    Frontend: build.frontend,
    FrontendAttrs: build.attributes,
    Exporters: build.exporters,
    CreatedAt: nanoOfFineMillis(build.startedMs),
    CompletedAt: build.completedMs === undefined ? undefined : nanoOfFineMillis(build.completedMs),
    error: build.error,
    ExporterResponse: build.answer,
    pinned: build.pinned,
    numTotalSteps: build.steps.total,
    numCachedSteps: build.steps.cached,
    numCompletedSteps: build.steps.completed,
    numWarnings: build.steps.warnings,
  };
  return { type, record };
}
