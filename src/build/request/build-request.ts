/** What a build is asked for, in BuildKit's words, and what comes of it. */

import type { BuildClient } from "#build/build-client.ts";
import type { LineRange } from "#build/language/lines.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { ImageConfig, Platform } from "#spec/image.ts";
import type { CacheEntry } from "./cache-places.ts";
import type { BuildProgress, SourceFile } from "./progress.ts";
import type { Predicate } from "./provenance.ts";

export interface BuildRequest {
  /**
   * BuildKit's frontend attributes by their own names: `filename`, `target`, `platform`, `build-arg:NAME`, `label:NAME`,
   * `no-cache`, `context`, `context:NAME`, `dockerfilekey`, `image-resolve-mode`, `add-hosts`, `force-network-mode`,
   * `shm-size`, `ulimit`, `cgroup-parent`, `memory` and its kin, `hostname`, `cache-imports`, `multi-platform`, `source`.
   * Unknown ones are passed over, as BuildKit does.
   */
  readonly options: Readonly<Record<string, string>>;
  /** The client's own name for the build. */
  readonly reference?: string | undefined;
  readonly client: BuildClient;
  readonly progress: BuildProgress;
  /** Of `context:NAME=input:KEY`: what earlier builds came to. They stay the caller's to dispose. */
  readonly inputs?: ReadonlyMap<string, BuildResult> | undefined;
  /** `inline` puts into each image what a later build needs to find its steps in it; of others the result has the steps. */
  readonly cacheExports?: readonly CacheEntry[] | undefined;
  /** Beside those the options name. */
  readonly cacheImports?: readonly CacheEntry[] | undefined;
  /** `network.host`, `security.insecure`: what the client lets the Dockerfile do. */
  readonly entitlements?: readonly string[] | undefined;
  readonly signal: AbortSignal;
}

export interface AttachedPredicate extends Predicate {
  /** Nobody but the client's own habit asked for it. */
  readonly inlineOnly: boolean;
  /** What it is called beside files: `provenance.json`. */
  readonly file: string;
}

/** What one platform's build came to. */
export interface PlatformResult {
  readonly platform: Platform;
  /** Of the image; its JSON's digest is the image's id. */
  readonly config: ImageConfig;
  /** The files; absent when there are none. */
  readonly chainId?: ChainId | undefined;
  /** What it stands on; absent for nothing. */
  readonly base?: { readonly chainId?: ChainId | undefined; readonly historyLines: number } | undefined;
  /** What is said of it: provenance, bills of material. */
  readonly predicates?: readonly AttachedPredicate[] | undefined;
}

/** Built, not yet an image of the store. Its layers stay until it is disposed, and longer for as long as the cache keeps them. */
export interface BuildResult extends Disposable {
  /** In the order they were asked for; never empty. */
  readonly perPlatform: readonly PlatformResult[];
  /** It must become an index even with one platform. */
  readonly multiPlatform: boolean;
  /** SOURCE_DATE_EPOCH of the build, milliseconds since 1970. */
  readonly epochMs?: number | undefined;
  readonly source: SourceFile;
  /** How each platform's came about, with all there is to say of that: for whoever asks later, beside what was asked for. */
  readonly provenance?: ((platform: PlatformResult) => Predicate | undefined) | undefined;
  /** Those it had, when a cache is to be made of them. */
  readonly steps?: readonly SolvedStep[] | undefined;
}

/** A step and what it came to. */
export interface SolvedStep {
  /** It is known by any of them. */
  readonly keys: readonly string[];
  readonly chainId?: ChainId | undefined;
  readonly createdMs: number;
}

/** A fault of a build with the place in the Dockerfile it comes from, if it comes from one. */
export class BuildFault extends Fault {
  readonly source: SourceFile | undefined;
  readonly lines: readonly LineRange[];
  /** The vertex that failed. */
  readonly vertex: Digest | undefined;

  constructor(
    kind: Fault["kind"],
    message: string,
    o: {
      readonly source?: SourceFile | undefined;
      readonly lines?: readonly LineRange[] | undefined;
      readonly vertex?: Digest | undefined;
      readonly detail?: Fault["detail"];
      readonly cause?: unknown;
    },
  ) {
    super(kind, message, { cause: o.cause, ...(o.detail !== undefined && { detail: o.detail }) });
    this.source = o.source;
    this.lines = o.lines ?? [];
    this.vertex = o.vertex;
  }
}
