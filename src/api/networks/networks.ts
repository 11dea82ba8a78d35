/** Networks: made, listed, removed, and who is on them. */

import type { ApiParts } from "#api/api-parts.ts";
import type { NetworkMember } from "#api/engine-face.ts";
import { type ApiRequest, flag, json, param, text } from "#api/http/api-request.ts";
import { emptyReply, jsonReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { pruneTest } from "#api/prune-filters.ts";
import {
  type NameTraceAnswer,
  type NetworkAuditAnswer,
  networkConnectBody,
  networkCreateBody,
  networkDisconnectBody,
} from "#spec/docker-network.ts";
import { Fault } from "#spec/fault.ts";
import {
  booleanFilter,
  type Filters,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  parseFilters,
} from "#spec/filters.ts";
import { evidenceOf, type NetworkRecord, predefinedNetworks } from "#spec/network.ts";
import { networkInspect } from "./network-wire.ts";

const listFilters = ["dangling", "driver", "id", "label", "name", "scope", "type"] as const;

export function networkRoutes(parts: ApiParts): Route[] {
  const { networks } = parts.engine;
  return [
    route("GET", "/networks", (request) => list(parts, request)),
    route("GET", "/networks/", (request) => list(parts, request)),
    route("POST", "/networks/create", (request) => create(parts, request)),
    route("POST", "/networks/prune", async (request) => {
      const wanted = pruneTest(text(request, "filters"), ["until", "label", "label!"], Date.now());
      const removed = await networks.prune(wanted);
      return jsonReply({ NetworksDeleted: removed.length === 0 ? null : removed });
    }),
    route("POST", "/networks/{id}/connect", (request) => connect(parts, request)),
    route("POST", "/networks/{id}/disconnect", async (request) => {
      const body = await json(request, networkDisconnectBody);
      const container = named(body.Container);
      await networks.disconnect(param(request, "id"), { container, force: body.Force ?? false });
      return emptyReply(200);
    }),
    // This engine's own: where a container's answers to names come from.
    route("GET", "/containers/{name}/resolve", (request) => trace(parts, request)),
    // And what is reachable from where. A network of that name is still found by its id.
    route("GET", "/networks/audit", (request) => audit(parts, request)),
    route("GET", "/networks/{id}", (request) => inspect(parts, request)),
    route("DELETE", "/networks/{id}", async (request) => {
      await networks.remove(param(request, "id"));
      return emptyReply();
    }),
  ];
}

function list({ engine }: ApiParts, request: ApiRequest): Reply {
  const filters = parseFilters(text(request, "filters"), listFilters);
  const found = engine.networks
    .list()
    .filter((network) => matches(network, filters, engine.networks.members(network.id)));
  return jsonReply(found.map((network) => networkInspect(network, request.version, [])));
}

function matches(network: NetworkRecord, filters: Filters, members: readonly NetworkMember[]): boolean {
  const { dangling, id: ids = [network.id], type = [], label } = filters;
  const odd = type.find((value) => value !== "builtin" && value !== "custom");
  if (odd !== undefined) throw new Fault("invalid", `invalid filter: 'type'='${odd}'`);
  const predefined = predefinedNetworks.includes(network.name);
  const isDangling = !predefined && members.length === 0;
  return (
    matchesExactly(filters, "driver", network.driver) &&
    matchesPattern(filters, "name", network.name) &&
    ids.some((id) => network.id.startsWith(id)) &&
    matchesLabels(label, network.labels) &&
    matchesExactly(filters, "scope", "local") &&
    (dangling === undefined || booleanFilter(filters, "dangling", false) === isDangling) &&
    (type.length === 0 || type.includes(predefined ? "builtin" : "custom"))
  );
}

async function create({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const body = await json(request, networkCreateBody);
  const { id, warning } = await engine.networks.create({
    name: body.Name ?? "",
    driver: body.Driver ?? "",
    scope: body.Scope ?? "",
    ingress: body.Ingress ?? false,
    ipv4: request.version < 48 || (body.EnableIPv4 ?? true),
    ipv6: body.EnableIPv6 ?? false,
    internal: body.Internal ?? false,
    attachable: body.Attachable ?? false,
    configOnly: body.ConfigOnly ?? false,
    configFrom: body.ConfigFrom?.Network ?? "",
    ipam: {
      driver: body.IPAM?.Driver ?? "",
      options: body.IPAM?.Options ?? null,
      config: body.IPAM?.Config ?? [],
    },
    options: body.Options ?? {},
    labels: body.Labels ?? {},
  });
  return jsonReply({ Id: id, Warning: warning }, 201);
}

async function connect({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const body = await json(request, networkConnectBody);
  const container = named(body.Container);
  const settings = body.EndpointConfig ?? {};
  await engine.networks.connect(param(request, "id"), { container, settings });
  return emptyReply(200);
}

async function audit({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const { firewall, rows } = await engine.networks.audit({
    probe: flag(request, "probe"),
    signal: request.signal,
  });
  const answer: NetworkAuditAnswer = {
    Firewall: firewall,
    Rows: rows.map(({ from, to, address, verdict, why, probe, untried }) => ({
      ...{ From: from, To: to, Address: address, Verdict: verdict, Why: why },
      ...(probe !== undefined && { Probe: probe }),
      ...(untried !== undefined && { Untried: untried }),
      ShownBy: evidenceOf({ probe, verdict }),
    })),
  };
  return jsonReply(answer);
}

async function trace({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const name = text(request, "name") ?? "";
  const type = text(request, "type") ?? "A";
  if (!/^[\w.:-]{1,253}$/.test(name))
    throw new Fault("invalid", `invalid name ${JSON.stringify(name)}: want ?name=NAME`);
  if (type !== "A" && type !== "AAAA")
    throw new Fault("invalid", `invalid type ${JSON.stringify(type)}: want A or AAAA`);
  const { signal } = request;
  const found = await engine.networks.trace(param(request, "name"), { name, type, signal });
  const answer: NameTraceAnswer = {
    Name: found.name,
    Type: found.type,
    Addresses: found.addresses,
    Steps: found.steps.map(({ asked, source, outcome, answers }) => ({
      ...{ Asked: asked, Source: source, Outcome: outcome, Answers: answers },
    })),
  };
  return jsonReply(answer);
}

function named(container: string | undefined): string {
  if (container === undefined || container === "")
    throw new Fault("invalid", 'invalid name or ID supplied: ""');
  return container;
}

function inspect({ engine }: ApiParts, request: ApiRequest): Reply {
  const reference = param(request, "id");
  const network = engine.networks.get(reference);
  const scope = text(request, "scope");
  if (scope !== undefined && scope !== "local")
    throw new Fault("not-found", `network ${reference} not found`);
  const shown = networkInspect(network, request.version, engine.networks.members(network.id));
  const warnings = engine.networks.warnings(network);
  return jsonReply(warnings.length === 0 ? shown : { ...shown, Warnings: warnings });
}
