/**
 * The Docker Engine API, 1.22 to 1.50, over unix sockets and TCP.
 * Owns: listeners, connections, the route table. Promises: every request is answered in Docker's shapes for the version
 * it asked for, or refused with a sentence; changes go on when the client that asked leaves.
 * Never: decides anything about containers, images, networks or volumes; reads the environment.
 */
import { Fault } from "#spec/fault.ts";
import type { ApiParts } from "./api-parts.ts";
import { buildRoutes } from "./builds/build.ts";
import { buildOutcomeRoutes } from "./builds/build-outcomes.ts";
import { buildPruneRoutes } from "./builds/build-prune.ts";
import { buildkitRoutes } from "./builds/buildkit.ts";
import { archiveRoutes } from "./containers/archive.ts";
import { attachRoutes } from "./containers/attach.ts";
import { commitRoutes } from "./containers/commit.ts";
import { containerStreamRoutes } from "./containers/container-streams.ts";
import { containerRoutes } from "./containers/containers.ts";
import { execRoutes } from "./containers/exec.ts";
import { lookingRoutes } from "./containers/looking.ts";
import { absentRoutes } from "./http/absent.ts";
import { formatVersion, newestVersion } from "./http/api-version.ts";
import { closeGraceMs, HttpServer } from "./http/http-server.ts";
import type { TlsOptions } from "./http/listen.ts";
import { errorReply, statusOf } from "./http/reply.ts";
import { MalformedRequest } from "./http/request-head.ts";
import { describe, routes } from "./http/router.ts";
import { imageArchiveRoutes } from "./images/image-archives.ts";
import { imageRoutes } from "./images/images.ts";
import { transferRoutes } from "./images/transfers.ts";
import { networkRoutes } from "./networks/networks.ts";
import { eventRoutes } from "./system/events.ts";
import { systemRoutes } from "./system/system.ts";
import { systemCheckRoutes } from "./system/system-check.ts";
import { diskUsageRoutes } from "./system/system-df.ts";
import { trashRoutes } from "./trash/trash.ts";
import { volumeRoutes } from "./volumes/volumes.ts";

export interface ApiOptions extends ApiParts {
  /** `unix://PATH` and `tcp://ADDRESS:PORT`. */
  readonly hosts: readonly string[];
  /** Of tcp:// hosts; clients there speak TLS then. */
  readonly tls?: TlsOptions | undefined;
  /** Told one line per request that failed inside the engine; with the cause, unlike the answer. */
  readonly log?: (line: string) => void;
}

/** A running API. Dispose to stop: no new requests, endless answers end, changes in progress get `closeGraceMs`. */
export interface ApiServer extends AsyncDisposable {
  /** Where it listens, with the ports really used. */
  readonly hosts: readonly string[];
}

/**
 * Listens on every host, or on none.
 * @throws Fault `conflict` when an address is in use, `invalid`, `denied`, `unsupported` for one that cannot be.
 */
export async function serveApi(options: ApiOptions): Promise<ApiServer> {
  const log = options.log ?? (() => undefined);
  const lifetime = new AbortController();
  const handle = routes(routeTable(options), lifetime.signal);
  const server = await HttpServer.open(options.hosts, {
    headers: {
      "Api-Version": formatVersion(newestVersion),
      "Docker-Experimental": "false",
      Ostype: "linux",
      Server: `Wherry/${options.version} (linux)`,
    },
    handle: async (exchange) => {
      try {
        return await handle(exchange);
      } catch (thrown) {
        const refused = thrown instanceof MalformedRequest || statusOf(Fault.from(thrown)) !== 500;
        if (!refused && !exchange.signal.aborted) log(`${describe(exchange)}: ${explain(thrown)}`);
        return errorReply(thrown);
      }
    },
    tls: options.tls,
    http2: (connection, gone) => options.buildkit.serve(connection, AbortSignal.any([gone, lifetime.signal])),
    report: (thrown, exchange) => log(`${describe(exchange)}: ${explain(thrown)}`),
  });
  return {
    hosts: server.hosts,
    [Symbol.asyncDispose]: async () => {
      const stopped = new Fault("unavailable", "the engine is shutting down; try again when it is back");
      const timer = setTimeout(() => lifetime.abort(stopped), closeGraceMs);
      await server[Symbol.asyncDispose]();
      clearTimeout(timer);
      lifetime.abort(stopped);
    },
  };
}

function routeTable(parts: ApiParts): ReturnType<typeof systemRoutes> {
  return [
    ...systemRoutes(parts),
    ...containerRoutes(parts),
    ...attachRoutes(parts),
    ...containerStreamRoutes(parts),
    ...archiveRoutes(parts),
    ...lookingRoutes(parts),
    ...systemCheckRoutes(parts),
    ...diskUsageRoutes(parts),
    ...execRoutes(parts),
    ...commitRoutes(parts),
    ...imageRoutes(parts),
    ...imageArchiveRoutes(parts),
    ...transferRoutes(parts),
    ...buildRoutes(parts),
    ...buildPruneRoutes(parts),
    ...buildOutcomeRoutes(parts),
    ...buildkitRoutes(parts),
    ...networkRoutes(parts),
    ...trashRoutes(parts),
    ...volumeRoutes(parts),
    ...eventRoutes(parts),
    ...absentRoutes(),
  ];
}

/** For the log: stacks of what nobody foresaw, with their causes. */
function explain(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const own =
    thrown instanceof Fault && thrown.kind !== "internal" ? thrown.message : (thrown.stack ?? thrown.message);
  return thrown.cause === undefined ? own : `${own}; because ${explain(thrown.cause)}`;
}
