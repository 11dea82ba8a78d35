/** What is remembered of a build. Times are milliseconds since 1970. */
import type { SolveRequest } from "#spec/buildkit-control.ts";
import type { RpcStatus } from "#spec/grpc-status.ts";
import type { Descriptor } from "#spec/image.ts";

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
  /** How often the record was changed after the build. */
  readonly generation?: number | undefined;
  readonly steps: {
    readonly total: number;
    readonly cached: number;
    readonly completed: number;
    readonly warnings: number;
  };
  readonly kept?: KeptDocuments | undefined;
}

/** What lies beside the record, as it is called there. */
export interface KeptDocuments {
  /** All it told: `StatusResponse`s, each with its length in four bytes before it, the lowest first. */
  readonly logs?: Descriptor | undefined;
  /** How it failed, with all details: a `google.rpc.Status`. */
  readonly error?: Descriptor | undefined;
  /** How each result came about; `platform` when there were several. */
  readonly provenance: readonly { readonly platform?: string | undefined; readonly descriptor: Descriptor }[];
  /** What each exporter made, by its number. */
  readonly results: readonly { readonly index: number; readonly descriptor: Descriptor }[];
  /** Manifests in those. */
  readonly inner: readonly Descriptor[];
}

export type BuildStatus = "running" | "completed" | "error" | "canceled";

export function statusOf({ completedMs, error }: MadeBuild): BuildStatus {
  if (completedMs === undefined) return "running";
  if (error === undefined) return "completed";
  return error.message.includes("context canceled") ? "canceled" : "error";
}

export function documentsOf({ kept }: MadeBuild): Descriptor[] {
  if (kept === undefined) return [];
  const { logs, error, provenance, results, inner } = kept;
  const named = [...provenance, ...results].map(({ descriptor }) => descriptor);
  return [...[logs, error].filter((each) => each !== undefined), ...named, ...inner];
}
