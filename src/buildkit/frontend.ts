/**
 * The Dockerfile frontend, which is built in: whatever `# syntax=` image or `gateway.v0` source of docker/dockerfile is
 * named, it is this one.
 */
import type { BuildResult } from "#build/request/build-request.ts";
import type { CacheEntry } from "#build/request/cache-places.ts";
import type { Exporter } from "#spec/buildkit-control.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import type { BuildJob } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { unknownCapability } from "./error-details.ts";
import { SessionClient } from "./session-client.ts";

export interface FrontendRequest {
  readonly frontend: string;
  readonly options: Readonly<Record<string, string>>;
  readonly inputs: ReadonlyMap<string, BuildResult>;
}

const dockerfileImage = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@].*)?$|^dockerfile\.v0$/;
const capabilities = [
  "moby.buildkit.frontend.inputs",
  "moby.buildkit.frontend.subrequests",
  "moby.buildkit.frontend.contexts",
  "moby.buildkit.frontend.gitquerystring",
];

/** @throws GrpcError for another frontend or a capability this one lacks. */
export function checkFrontend({ frontend, options }: FrontendRequest): void {
  if (frontend === "gateway.v0") {
    const source = options["source"] ?? "";
    if (!dockerfileImage.test(source))
      throw new GrpcError(
        grpcCode.unknown,
        `custom frontend ${JSON.stringify(source)} is not supported: the Dockerfile's own is built in`,
      );
  } else if (frontend !== "dockerfile.v0")
    throw new GrpcError(
      grpcCode.unknown,
      `frontend ${JSON.stringify(frontend)} is not supported: use dockerfile.v0`,
    );
  for (const given of (options["frontend.caps"] ?? "").split(",")) {
    const name = given.replace(/\+forward$/, "");
    if (name !== "" && !capabilities.includes(name)) throw unknownCapability(name);
  }
}

/** As the builder has it. */
export function cacheEntry({ Type, Attrs }: Exporter): CacheEntry {
  return { type: Type, attributes: Attrs };
}

export function clientOf(
  parts: BuildkitParts,
  job: BuildJob,
  options: FrontendRequest["options"],
): SessionClient {
  return new SessionClient(parts, job.request.Session, options, job.body);
}

/** @throws what the builder throws. The result is the caller's to dispose. */
export async function runFrontend(
  parts: BuildkitParts,
  job: BuildJob,
  request: FrontendRequest,
  signal: AbortSignal,
): Promise<BuildResult> {
  checkFrontend(request);
  const { Cache, Entitlements } = job.request;
  return await parts.builder.build({
    options: request.options,
    reference: job.request.Ref,
    client: clientOf(parts, job, request.options),
    progress: job.feed,
    inputs: request.inputs,
    cacheExports: (Cache?.Exports ?? []).map(cacheEntry),
    // Clients of BuildKit name them among the options; those that ask directly name them here.
    cacheImports:
      request.options["cache-imports"] === undefined ? (Cache?.Imports ?? []).map(cacheEntry) : [],
    entitlements: Entitlements,
    signal,
  });
}
