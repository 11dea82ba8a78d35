/**
 * Builds in progress, by the client's reference.
 * Owns: which there are, what each was asked and has told. Promises: the calls of one build find each other in whatever
 * order they come, or are refused after a bounded wait; a build's feed can be watched a moment after its end.
 */
import type { BuildResult } from "#build/request/build-request.ts";
import type { ComposedImage } from "#build/results/compose-image.ts";
import type { SolveRequest } from "#spec/buildkit-control.ts";
import type { Result } from "#spec/buildkit-gateway.ts";
import { Fault } from "#spec/fault.ts";
import { AwaitedMap } from "./awaited-map.ts";
import { StatusFeed } from "./status-feed.ts";

/** A gateway's call often comes before the build's own. */
export const jobWaitMs = 6000;
/** How long a build that is over can still be watched. */
const lingerMs = 3000;
/** At once, with those that linger. */
export const jobsMax = 256;

/** How the frontend on the client's side ended. */
export interface Returned {
  readonly result?: Result | undefined;
}

/** Files that came with the request, by the address the build knows them under. */
export interface SentBody {
  readonly address: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

export class BuildJob implements Disposable {
  readonly request: SolveRequest;
  readonly feed = new StatusFeed();
  /** What its `LLBBridge.Solve` calls came to, by their references. */
  readonly results = new Map<string, BuildResult>();
  /** What exporters made of it, by their numbers. */
  readonly images = new Map<number, ComposedImage>();
  readonly returned = Promise.withResolvers<Returned>();
  readonly startedMs: number;
  readonly body: SentBody | undefined;
  readonly #abort = new AbortController();
  readonly signal: AbortSignal;

  constructor(
    request: SolveRequest,
    signal: AbortSignal,
    o: { readonly startedMs: number; readonly body?: SentBody | undefined },
  ) {
    this.request = request;
    this.startedMs = o.startedMs;
    this.body = o.body;
    this.signal = AbortSignal.any([signal, this.#abort.signal]);
    this.returned.promise.catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.feed.end();
    this.#abort.abort(new Fault("cancelled", "context canceled"));
  }
}

export class BuildJobs {
  readonly #jobs = new AwaitedMap<BuildJob>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Dispose when the build is over. @throws Fault `conflict` for a reference in use. */
  begin(request: SolveRequest, signal: AbortSignal, body?: SentBody): BuildJob {
    const { Ref } = request;
    if (!/^[A-Za-z0-9_-]{1,128}$/.test(Ref)) throw new Fault("invalid", "a build needs a reference");
    if (this.#jobs.has(Ref)) throw new Fault("conflict", `job ID ${Ref} exists`);
    if (this.#jobs.size >= jobsMax)
      throw new Fault("unavailable", `${jobsMax} builds are running: try again when some have ended`);
    const job = new BuildJob(request, signal, { startedMs: this.#now(), body });
    this.#jobs.set(Ref, job);
    return job;
  }

  end(job: BuildJob): void {
    job[Symbol.dispose]();
    const { Ref } = job.request;
    setTimeout(() => {
      if (this.#jobs.get(Ref) === job) this.#jobs.delete(Ref);
    }, lingerMs).unref();
  }

  /** One that runs, or lingers. */
  get(ref: string): BuildJob | undefined {
    return this.#jobs.get(ref);
  }

  /** Waits `jobWaitMs` for one that is on its way. @throws Fault `not-found`, or the signal's reason. */
  async find(ref: string, signal: AbortSignal): Promise<BuildJob> {
    const job = await this.#jobs.find(ref, jobWaitMs, signal);
    if (job === undefined) throw new Fault("not-found", `no such job ${ref}`);
    return job;
  }
}
