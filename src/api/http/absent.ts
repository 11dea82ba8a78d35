/**
 * Docker's endpoints that this engine does not have yet, so that each says so by name.
 * Pure.
 */
import { Fault } from "#spec/fault.ts";
import type { ApiRequest } from "./api-request.ts";
import { type Route, route } from "./router.ts";

const absent: readonly (readonly [Route["method"], string, string])[] = [
  ["GET", "/containers/{name}/checkpoints", "checkpoints"],
  ["POST", "/containers/{name}/checkpoints", "checkpoints"],
  ["PUT", "/volumes/{name}", "cluster volumes"],
  ["POST", "/session", "BuildKit sessions"],
  ["POST", "/grpc", "BuildKit"],
  ["GET", "/plugins", "plugins"],
  ["GET", "/plugins/privileges", "plugins"],
  ["POST", "/plugins/pull", "plugins"],
  ["POST", "/plugins/create", "plugins"],
];

/** What dockerd says of everything that needs a cluster; clients look for the sentence. */
const swarmSentence =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';
const swarmNouns = ["swarm", "services", "tasks", "nodes", "secrets", "configs"];

export function absentRoutes(): Route[] {
  const unsupported = absent.map(([method, pattern, what]) =>
    route(method, pattern, () => {
      throw new Fault("unsupported", `${what} is not supported by this engine yet (${method} ${pattern})`);
    }),
  );
  const swarm = swarmNouns.flatMap((noun) =>
    (["GET", "POST", "DELETE"] as const).flatMap((method) => [
      route(method, `/${noun}`, refuseSwarm),
      route(method, `/${noun}/{path}`, refuseSwarm),
    ]),
  );
  return [...unsupported, route("GET", "/plugins/{name}/json", noPlugin), ...swarm];
}

function refuseSwarm({ method, params: { path } }: ApiRequest): never {
  if (method === "POST" && (path === "init" || path === "join"))
    throw new Fault("unsupported", `swarm ${path} is not supported by this engine yet`);
  throw new Fault("unavailable", swarmSentence);
}

function noPlugin({ params: { name } }: ApiRequest): never {
  throw new Fault("not-found", `plugin ${JSON.stringify(name)} not found`);
}
