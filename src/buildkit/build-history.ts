/**
 * Builds that were made, for `buildx history`.
 * Owns: the table of them, and when their documents may go. Promises: the newest `historyMax` and all pinned ones are
 * kept, also across restarts, while their documents take no more than `historyBytesMax`.
 */
import { EventEmitter, on } from "node:events";
import {
  type HistoryEventWritten,
  type HistoryRequest,
  type HistoryWritten,
  historyEvent,
} from "#spec/buildkit-control.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor } from "#spec/image.ts";
import { nanoOfFineMillis } from "#spec/unix-time.ts";
import type { Records, Table } from "#store/records.ts";
import { HistoryDocuments } from "./history-documents.ts";
import { historyFilter } from "./history-filter.ts";
import { documentsOf, type MadeBuild } from "./made-build.ts";

/** Kept, beside pinned ones. */
export const historyMax = 200;
/** Of what builds left behind, without that of pinned ones. */
export const historyBytesMax = 256 << 20;

export class BuildHistory {
  readonly documents: HistoryDocuments;
  readonly #table: Table<MadeBuild>;
  readonly #now: () => number;
  readonly #active = new Map<string, MadeBuild>();
  readonly #events = new EventEmitter().setMaxListeners(0);

  /** `root` is a directory of its own for documents. */
  constructor(records: Records, root: string, now: () => number) {
    this.#table = records.table("build-history");
    this.#now = now;
    const kept = new Set(
      this.#table
        .list()
        .flatMap(documentsOf)
        .map(({ digest }) => digest as string),
    );
    this.documents = HistoryDocuments.open(root, (digest) => kept.has(digest));
  }

  begin(build: MadeBuild): void {
    this.#active.set(build.ref, build);
    this.#tell(historyEvent.started, build);
  }

  /** What its documents are, are there already. */
  async end(build: MadeBuild): Promise<void> {
    this.#active.delete(build.ref);
    const before = this.#table.get(build.ref);
    this.#table.put(build.ref, build);
    this.#tell(historyEvent.complete, build);
    await this.#release([...(before === undefined ? [] : [before]), ...this.#takeOld()]);
  }

  /** One that is over. */
  get(ref: string): MadeBuild | undefined {
    return this.#table.get(ref);
  }

  /** @throws Fault `not-found`. */
  async update(
    ref: string,
    o: { readonly pinned: boolean; readonly remove: boolean; readonly finalize: boolean },
  ): Promise<void> {
    const build = this.#table.get(ref);
    if (build === undefined) throw new Fault("not-found", `failed to update ${ref}: not found`);
    if (o.remove) {
      this.#table.delete(ref);
      this.#tell(historyEvent.deleted, build);
      await this.#release([build]);
    } else if (!o.finalize) {
      const changed = { ...build, pinned: o.pinned, generation: (build.generation ?? 0) + 1 };
      this.#table.put(ref, changed);
      this.#tell(historyEvent.complete, changed);
    }
  }

  /** What there is, then, unless asked to leave, what happens. @throws Fault `invalid` for a filter or limit that is none. */
  async *listen(
    request: HistoryRequest,
    signal: AbortSignal,
  ): AsyncGenerator<HistoryEventWritten, void, undefined> {
    if (request.Limit < 0) throw new Fault("invalid", `invalid limit ${request.Limit}`);
    const wanted = ({ ref }: MadeBuild): boolean => request.Ref === "" || request.Ref === ref;
    const passes = historyFilter(request.Filter, this.#now());
    const past = request.ActiveOnly
      ? []
      : this.#newestFirst().filter((build) => wanted(build) && passes(build));
    const limited = request.Limit > 0 ? past.slice(0, request.Limit) : past;
    const coming = on(this.#events, "event", { signal });
    for (const build of [...this.#active.values()].filter(wanted)) yield event(historyEvent.started, build);
    for (const build of limited) yield event(historyEvent.complete, build);
    if (request.EarlyExit) return;
    for await (const [type, build] of coming as AsyncIterable<[number, MadeBuild]>)
      if (wanted(build)) yield event(type, build);
  }

  /** Out of the table. */
  #takeOld(): MadeBuild[] {
    let bytes = 0;
    const old = this.#newestFirst()
      .filter(({ pinned }) => !pinned)
      .filter((build, at) => {
        for (const { size } of documentsOf(build)) bytes += size;
        return at >= historyMax || (at > 0 && bytes > historyBytesMax);
      });
    for (const { ref } of old) this.#table.delete(ref);
    return old;
  }

  /** Their documents, but for those another build has as well. */
  async #release(gone: readonly MadeBuild[]): Promise<void> {
    const candidates = gone.flatMap(documentsOf);
    if (candidates.length === 0) return;
    const kept = new Set(
      this.#table
        .list()
        .flatMap(documentsOf)
        .map(({ digest }) => digest),
    );
    for (const { digest } of candidates) if (!kept.has(digest)) await this.documents.remove(digest);
  }

  #newestFirst(): MadeBuild[] {
    return this.#table.list().sort((left, right) => right.startedMs - left.startedMs);
  }

  #tell(type: number, build: MadeBuild): void {
    this.#events.emit("event", type, build);
  }
}

function event(type: number, build: MadeBuild): HistoryEventWritten {
  const { kept } = build;
  const record: HistoryWritten = {
    Ref: build.ref,
    Frontend: build.frontend,
    FrontendAttrs: build.attributes,
    Exporters: build.exporters,
    CreatedAt: nanoOfFineMillis(build.startedMs),
    CompletedAt: build.completedMs === undefined ? undefined : nanoOfFineMillis(build.completedMs),
    error: build.error,
    externalError: kept?.error && written(kept.error),
    ExporterResponse: build.answer,
    logs: kept?.logs && written(kept.logs),
    ...resultsOf(build),
    Generation: build.generation ?? 0,
    pinned: build.pinned,
    numTotalSteps: build.steps.total,
    numCachedSteps: build.steps.cached,
    numCompletedSteps: build.steps.completed,
    numWarnings: build.steps.warnings,
  };
  return { type, record };
}

function written({ mediaType, digest, size, annotations = {} }: Descriptor) {
  return { mediaType, digest, size, annotations };
}

/** Those of one platform, or by platform. */
function resultsOf({ kept }: MadeBuild): Pick<HistoryWritten, "Result" | "Results"> {
  if (kept === undefined) return {};
  const made = kept.results.map(({ index, descriptor }) => [index, written(descriptor)] as const);
  const alone = kept.provenance.filter(({ platform }) => platform === undefined);
  const Attestations = alone.map(({ descriptor }) => written(descriptor));
  const single = Attestations.length > 0 || made.length > 0;
  const Results = Object.fromEntries(
    kept.provenance.flatMap(({ platform, descriptor }) =>
      platform === undefined ? [] : [[platform, { Attestations: [written(descriptor)] }]],
    ),
  );
  return {
    Results,
    ...(single && {
      Result: { ResultDeprecated: made[0]?.[1], Attestations, Results: Object.fromEntries(made) },
    }),
  };
}
