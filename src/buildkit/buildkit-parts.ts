/** What BuildKit's services need of others; `Builder` and the engine satisfy it as they are, tests bring doubles. */
import type { LintReport, Outline, QuestionRequest, Targets } from "#build/check/build-questions.ts";
import type { BuildRequest, BuildResult, PlatformResult } from "#build/request/build-request.ts";
import type { ResultImages } from "#build/result-images.ts";
import type { BuildHistory } from "./build-history.ts";
import type { BuildJobs } from "./build-jobs.ts";
import type { ClientSessions } from "./client-sessions.ts";
import type { Mirrors } from "./mirrors.ts";

/** What a build costs on disk, as `buildx du` shows it. Times are milliseconds since 1970. */
export interface CacheRecord {
  readonly id: string;
  readonly parents: readonly string[];
  /** `regular`, `exec.cachemount`, `source.local`, `frontend`, `internal`. */
  readonly type: string;
  readonly description: string;
  readonly sizeBytes: number;
  readonly createdMs: number;
  readonly usedMs?: number | undefined;
  readonly uses: number;
  readonly inUse: boolean;
  readonly shared: boolean;
  readonly mutable: boolean;
}

/** A record of the builder's cache. */
export interface BuilderUsage extends Omit<CacheRecord, "type" | "usedMs" | "mutable"> {
  readonly kind: string;
  readonly lastUsedMs: number;
}

export interface BuildkitBuilder {
  build(request: BuildRequest): Promise<BuildResult>;
  readonly results: Pick<ResultImages, "store" | "compose" | "push" | "exportCache">;
  tree(result: PlatformResult): Promise<AsyncDisposable & { readonly root: string }>;
  lint?(request: QuestionRequest): Promise<LintReport>;
  outline?(request: QuestionRequest): Promise<Outline>;
  targets?(request: QuestionRequest): Promise<Targets>;
  /** What it keeps between builds, beside images. */
  usage?(): readonly BuilderUsage[];
  prune?(o: {
    readonly all: boolean;
    /** By name, any of the values; here only `id`. */
    readonly filters: ReadonlyMap<string, readonly string[]>;
    readonly keepBytes: number;
    readonly keepMs: number;
  }): Promise<readonly { readonly record: BuilderUsage; readonly freedBytes: number }[]>;
}

export interface BuildkitParts {
  readonly builder: BuildkitBuilder;
  readonly sessions: ClientSessions;
  readonly jobs: BuildJobs;
  readonly history: BuildHistory;
  readonly mirrors: Mirrors;
  /** For sockets; a short path. */
  readonly socketDirectory: string;
  /** Of the machine: `amd64`. */
  readonly architecture: string;
  /** The engine's id, which is the worker's too. */
  readonly id: () => string;
  /** Where `--add-host x:host-gateway` leads; absent when there is no bridge. */
  readonly hostGateway: () => string | undefined;
  readonly version: string;
  readonly now: () => number;
  readonly report: (line: string) => void;
}
