/** What route tables are made from. */

import type { ClassicRequest } from "#build/builder.ts";
import type { BuildMessage } from "#build/request/messages.ts";
import type { BuildOutcome } from "#build/solver/misses.ts";
import type { Buildkit } from "#buildkit/buildkit-services.ts";
import type { RegistryOptions } from "#registry/client/registry-options.ts";
import type { EngineFace } from "./engine-face.ts";

export type RegistryFacts = Pick<RegistryOptions, "mirrors" | "insecure" | "proxy">;

export interface ApiParts {
  readonly engine: EngineFace;
  readonly builder: {
    classic(request: ClassicRequest): AsyncIterable<BuildMessage>;
    outcomes(): readonly BuildOutcome[];
  };
  readonly buildkit: Pick<Buildkit, "serve" | "checkSession" | "serveSession" | "usage" | "prune"> & {
    readonly posted: Pick<Buildkit["posted"], "run" | "upload" | "cancel">;
  };
  /** How registries are spoken to. */
  readonly registry: RegistryFacts;
  /** Of the engine: `0.1.0`. */
  readonly version: string;
  readonly gitCommit: string;
  /** RFC 3339. */
  readonly buildTime: string;
}
