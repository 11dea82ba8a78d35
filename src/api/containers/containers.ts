/** Containers: create, list, inspect, and everything that changes one. */
import * as v from "valibot";
import type { ApiParts } from "#api/api-parts.ts";
import type { SystemFacts } from "#api/engine-face.ts";
import { refuseUnhonoured } from "#api/honoured.ts";
import { withDefaults } from "#api/host-defaults.ts";
import { type ApiRequest, check, flag, integer, json, param, text } from "#api/http/api-request.ts";
import { discardWarnings } from "#api/http/discarded.ts";
import { emptyReply, jsonReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { pruneTest } from "#api/prune-filters.ts";
import { removalOptions } from "#api/trash/trash.ts";
import type { HostConfig } from "#spec/container.ts";
import { createBody } from "#spec/docker-create.ts";
import type { ContainerCreated } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { parseFilters } from "#spec/filters.ts";
import { formatPlatform, imageArchitecture, platformRank } from "#spec/platform.ts";
import { parseReference } from "#spec/reference.ts";
import { containerInspect } from "./container-inspect.ts";
import { containerSummary } from "./container-summary.ts";
import { updateContainer } from "./container-update.ts";
import { checkCreate } from "./create-checks.ts";
import { inspectDefaults } from "./inspect-defaults.ts";
import { checkResources } from "./resource-checks.ts";

const listFilters = [
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "is-task",
  "isolation",
  "label",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
] as const;

export function containerRoutes(parts: ApiParts): Route[] {
  const { containers } = parts.engine;
  return [
    route("GET", "/containers/json", (request) => list(parts, request)),
    route("POST", "/containers/create", (request) => create(parts, request)),
    route("POST", "/containers/prune", (request) => prune(parts, request)),
    route("GET", "/containers/{name}/json", (request) => inspect(parts, request)),
    route("POST", "/containers/{name}/start", async (request) => {
      refuseStartBody(request);
      const changed = await containers.start(param(request, "name"), { signal: request.lifetime });
      return emptyReply(changed ? 204 : 304);
    }),
    route("POST", "/containers/{name}/stop", async (request) => {
      const changed = await containers.stop(param(request, "name"), stopOptions(request));
      return emptyReply(changed ? 204 : 304);
    }),
    route("POST", "/containers/{name}/restart", async (request) => {
      await containers.restart(param(request, "name"), stopOptions(request));
      return emptyReply();
    }),
    route("POST", "/containers/{name}/kill", (request) => kill(parts, request)),
    route("POST", "/containers/{name}/pause", async (request) => {
      await containers.pause(param(request, "name"));
      return emptyReply();
    }),
    route("POST", "/containers/{name}/unpause", async (request) => {
      await containers.unpause(param(request, "name"));
      return emptyReply();
    }),
    route("POST", "/containers/{name}/rename", async (request) => {
      await containers.rename(param(request, "name"), text(request, "name") ?? "");
      return emptyReply();
    }),
    route("POST", "/containers/{name}/update", (request) => updateContainer(parts, request)),
    // This engine's own.
    route("POST", "/containers/{name}/protect", async (request) => {
      await containers.protect(param(request, "name"), flag(request, "on", true));
      return emptyReply();
    }),
    route("DELETE", "/containers/{name}", (request) => remove(parts, request)),
  ];
}

async function list({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const filters = parseFilters(text(request, "filters"), listFilters);
  for (const key of ["before", "since"] as const) {
    const given = text(request, key);
    if (given !== undefined) filters[key] ??= [given];
  }
  const limit = integer(request, "limit") ?? 0;
  const records = engine.containers.list({
    all: flag(request, "all"),
    ...(limit > 0 && { limit }),
    filters,
  });
  const sized = flag(request, "size");
  const now = Date.now();
  const summaries = await Promise.all(
    records.map(async ({ id }) =>
      containerSummary(
        engine.containers.glance(id),
        request.version,
        now,
        sized ? await engine.containers.size(id) : undefined,
      ),
    ),
  );
  return jsonReply(summaries);
}

async function create({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const sent = await json(request, v.unknown());
  const body = check(createBody, sent);
  if (Object.keys(body).length === 0)
    throw new Fault("invalid", "config cannot be empty in order to create a container");
  refuseUnhonoured(sent);
  checkReference(body.Image ?? "");
  const facts = engine.system.facts();
  const name = text(request, "name") ?? "";
  const { HostConfig: given = {}, ...rest } = body;
  const limited = checkResources(given, facts, { update: false });
  const filled = withDefaults({ ...rest, HostConfig: limited.host }, request.version, facts);
  const { config, host, endpoints } = filled;
  checkCreate({ name, config, host }, request.version, facts);
  const discarded = discardWarnings(Object(sent).HostConfig);
  const warnings = [...limited.warnings, ...createWarnings(host), ...discarded, ...filled.warnings];
  const platform = request.version >= 41 ? text(request, "platform") : undefined;
  const created = await engine.containers.create(
    {
      ...(name !== "" && { name }),
      config,
      host,
      endpoints,
      ...(platform !== undefined && { platform }),
    },
    { signal: request.lifetime },
  );
  if (!platform) warnings.push(...platformWarnings(engine, config.Image ?? "", facts));
  const answer: ContainerCreated = { Id: created.id, Warnings: [...created.warnings, ...warnings] };
  return jsonReply(answer, 201);
}

/** @throws Fault `invalid` for what can name no image, neither by a name nor by an id. */
function checkReference(image: string): void {
  if (image !== "" && !/^(?:sha256:)?[0-9a-f]{1,64}$/.test(image)) parseReference(image);
}

/** The image may be gone again by now. */
function platformWarnings({ images }: ApiParts["engine"], reference: string, facts: SystemFacts): string[] {
  try {
    const machine = { os: "linux", architecture: imageArchitecture(facts.machine) };
    const { config } = images.get(reference);
    if (platformRank(config, machine) !== undefined) return [];
    return [
      `The requested image's platform (${formatPlatform(config)}) does not match the detected host platform (${formatPlatform(machine)}) and no specific platform was requested`,
    ];
  } catch {
    return [];
  }
}

function createWarnings(host: HostConfig): string[] {
  return host.NetworkMode === "host" && Object.keys(host.PortBindings ?? {}).length > 0
    ? ["Published ports are discarded when using host network mode"]
    : [];
}

async function inspect({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const name = param(request, "name");
  const detail = engine.containers.detail(name);
  const size = flag(request, "size") ? await engine.containers.size(detail.record.id) : undefined;
  const defaults = inspectDefaults(engine.system.facts());
  return jsonReply(containerInspect(detail, request.version, defaults, size));
}

/** Very old clients sent a host config with the start; dockerd refuses it since API 1.24. */
function refuseStartBody({ body }: ApiRequest): void {
  const longestEmptyBody = 7;
  if (body.sizeBytes === undefined || body.sizeBytes > longestEmptyBody)
    throw new Fault(
      "invalid",
      "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
    );
}

function stopOptions(request: ApiRequest): {
  timeoutSeconds: number | undefined;
  stopSignal: string | undefined;
  signal: AbortSignal;
} {
  return {
    timeoutSeconds: integer(request, "t"),
    stopSignal: request.version >= 42 ? text(request, "signal") : undefined,
    signal: request.lifetime,
  };
}

async function kill({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const name = param(request, "name");
  try {
    await engine.containers.kill(name, text(request, "signal"), { signal: request.lifetime });
  } catch (thrown) {
    const fault = Fault.from(thrown);
    throw new Fault(fault.kind, `cannot kill container: ${name}: ${fault.message}`, { cause: thrown });
  }
  return emptyReply();
}

async function remove({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  if (flag(request, "link")) {
    await engine.containers.removeLink(param(request, "name"));
    return emptyReply();
  }
  await engine.containers.remove(param(request, "name"), {
    force: flag(request, "force"),
    volumes: flag(request, "v") ? removalOptions(request) : undefined,
    signal: request.lifetime,
  });
  return emptyReply();
}

/** Removes what does not run. What cannot be removed stays and is not counted. */
async function prune({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const wanted = pruneTest(text(request, "filters"), ["until", "label", "label!"], Date.now());
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const record of engine.containers.list({ all: true, filters: {} })) {
    const ended = ["created", "exited", "dead"].includes(record.observed.status);
    if (!ended || !wanted({ created: record.created, labels: record.config.Labels })) continue;
    if (request.signal.aborted) break;
    try {
      const { rw } = await engine.containers.size(record.id);
      await engine.containers.remove(record.id, {
        force: false,
        volumes: undefined,
        signal: request.lifetime,
      });
      deleted.push(record.id);
      reclaimed += rw;
    } catch {
      // Started or removed by somebody else meanwhile.
    }
  }
  engine.events.pruned("container", reclaimed);
  return jsonReply({ ContainersDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed });
}
