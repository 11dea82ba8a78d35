/**
 * What a build tells while it runs: BuildKit's vertices and what belongs to them. The classic stream and BuildKit's
 * Status are two renderings of these. Times are milliseconds since 1970, with fractions.
 */

import type { LineRange } from "#build/language/lines.ts";
import type { Digest } from "#spec/digest.ts";

/** One node of the build's graph. Told again, with the same digest, whenever something of it changes. */
export interface Vertex {
  /** Unique in the build. */
  readonly digest: Digest;
  readonly inputs: readonly Digest[];
  /** `[build 2/4] RUN make`. */
  readonly name: string;
  /** Absent until it runs; the same in everything that is told of one run. */
  readonly startedMs?: number | undefined;
  readonly completedMs?: number | undefined;
  /** It need not run: started and completed are one moment. */
  readonly cached?: boolean | undefined;
  /** Why it failed. Ends with `context canceled` when it was called off. */
  readonly error?: string | undefined;
  /** Vertices shown as one. */
  readonly group?: { readonly id: string; readonly name: string } | undefined;
}

/** Output of a vertex, as it came. */
export interface VertexLog {
  readonly vertex: Digest;
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
  readonly timeMs: number;
}

/** Something of a vertex with a measure: a transfer, a layer, an export's part. Told again when it moves. */
export interface VertexStatus {
  /** `transferring context:`, `sha256:…`, `extracting sha256:…`; what is shown. */
  readonly id: string;
  readonly vertex: Digest;
  /** Bytes, as a rule; 0 when nothing is counted. */
  readonly current: number;
  /** 0 when it is not known. */
  readonly total: number;
  readonly timeMs: number;
  readonly startedMs?: number | undefined;
  readonly completedMs?: number | undefined;
}

/** A rule of the build checks that does not hold. */
export interface BuildWarning {
  readonly vertex: Digest;
  /** `UndefinedVar`. */
  readonly rule: string;
  /** `UndefinedVar: Usage of undefined variable '$foo' (line 3)`. */
  readonly short: string;
  readonly detail: string;
  readonly url: string;
  readonly source: SourceFile;
  readonly lines: readonly LineRange[];
}

/** A Dockerfile, for messages that show lines of it. */
export interface SourceFile {
  readonly filename: string;
  readonly text: string;
}

/** Never throws and never makes the build wait; what comes before the vertex it names is dropped. */
export interface BuildProgress {
  vertex(vertex: Vertex): void;
  log(log: VertexLog): void;
  status(status: VertexStatus): void;
  warning(warning: BuildWarning): void;
}

/** For work whose progress nobody watches. */
export const silence: BuildProgress = { vertex() {}, log() {}, status() {}, warning() {} };
