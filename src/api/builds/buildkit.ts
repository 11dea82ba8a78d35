/** Connections of BuildKit's clients: both ask for an upgrade to HTTP/2, and then one is asked and one asks. */

import type { ApiParts } from "#api/api-parts.ts";
import type { ApiRequest } from "#api/http/api-request.ts";
import { type HijackReply, hijackReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { exposeHeader } from "#spec/buildkit-session.ts";
import { Fault } from "#spec/fault.ts";

export function buildkitRoutes({ buildkit }: ApiParts): Route[] {
  return [
    route(
      "POST",
      "/grpc",
      (request): Reply => upgraded(request, (connection, gone) => buildkit.serve(connection.duplex(), gone)),
    ),
    route("POST", "/session", (request): Reply => {
      const head = {
        id: request.headers.get(exposeHeader.id) ?? "",
        sharedKey: request.headers.get(exposeHeader.sharedKey) ?? "",
        methods: (request.headers.get(exposeHeader.method) ?? "").split(/,\s*/),
      };
      buildkit.checkSession(head);
      return upgraded(request, (connection, gone) => buildkit.serveSession(head, connection.duplex(), gone));
    }),
  ];
}

type Run = (connection: Parameters<HijackReply["run"]>[0], gone: AbortSignal) => Promise<void>;

/** @throws Fault `invalid` for another protocol than HTTP/2. */
function upgraded(request: ApiRequest, run: Run): HijackReply {
  const wanted = request.headers.get("upgrade") ?? "";
  if (wanted.toLowerCase() !== "h2c")
    throw new Fault("invalid", `unsupported protocol ${JSON.stringify(wanted)} to upgrade to: want h2c`);
  return hijackReply("h2c", "", (connection) =>
    run(connection, AbortSignal.any([connection.gone, request.lifetime])),
  );
}
