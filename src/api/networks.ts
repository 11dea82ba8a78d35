/** Networks: the predefined ones, and who is on them. */
import type { NetworkInspect } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { type Filters, matchesExactly, matchesLabels, matchesPattern, parseFilters } from "#spec/filters.ts";
import type { Endpoint, NetworkRecord } from "#spec/network.ts";
import type { ApiParts } from "./api-parts.ts";
import { type ApiRequest, param, text } from "./api-request.ts";
import type { EngineFace } from "./engine-face.ts";
import { jsonReply, type Reply } from "./reply.ts";
import { type Route, route } from "./router.ts";

const listFilters = ["dangling", "driver", "id", "label", "name", "scope", "type"] as const;

export function networkRoutes(parts: ApiParts): Route[] {
  return [
    route("GET", "/networks", (request) => list(parts, request)),
    route("GET", "/networks/", (request) => list(parts, request)),
    route("POST", "/networks/prune", (request) => {
      parseFilters(text(request, "filters"), ["until", "label", "label!"]);
      return jsonReply({ NetworksDeleted: null });
    }),
    route("GET", "/networks/{id}", (request) => {
      const network = parts.engine.networks.get(param(request, "id"));
      return jsonReply(networkInspect(network, request.version, members(parts.engine, network)));
    }),
    route("DELETE", "/networks/{id}", (request) => {
      const { name } = parts.engine.networks.get(param(request, "id"));
      throw new Fault("denied", `${name} is a pre-defined network and cannot be removed`);
    }),
  ];
}

function list({ engine }: ApiParts, request: ApiRequest): Reply {
  const filters = parseFilters(text(request, "filters"), listFilters);
  const found = engine.networks.list().filter((network) => matches(network, filters));
  return jsonReply(found.map((network) => networkInspect(network, request.version, [])));
}

/** Every network here is predefined: never dangling, never custom. */
function matches(network: NetworkRecord, filters: Filters): boolean {
  const { dangling = [], id: ids = [network.id], type = [], label } = filters;
  const odd = type.find((value) => value !== "builtin" && value !== "custom");
  if (odd !== undefined) throw new Fault("invalid", `invalid filter: 'type'='${odd}'`);
  return (
    matchesExactly(filters, "driver", network.driver) &&
    matchesPattern(filters, "name", network.name) &&
    ids.some((id) => network.id.startsWith(id)) &&
    matchesLabels(label, network.labels) &&
    matchesExactly(filters, "scope", "local") &&
    !dangling.some((value) => value === "true" || value === "1") &&
    (type.length === 0 || type.includes("builtin"))
  );
}

/** One container's attachment to one network. */
interface Member {
  readonly containerId: string;
  readonly name: string;
  readonly endpoint: Endpoint;
}

function members(engine: EngineFace, network: NetworkRecord): Member[] {
  return engine.containers.list({ all: false, filters: {} }).flatMap(({ id, name }) => {
    const { sandbox } = engine.containers.detail(id);
    const endpoint = sandbox?.endpoints.find(({ networkId }) => networkId === network.id);
    return endpoint === undefined ? [] : [{ containerId: id, name, endpoint }];
  });
}

function networkInspect(network: NetworkRecord, version: number, on: readonly Member[]): NetworkInspect {
  const bridge = network.driver === "bridge";
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: "local",
    Driver: network.driver,
    ...(version >= 47 && { EnableIPv4: true }),
    EnableIPv6: false,
    IPAM: {
      Driver: "default",
      Options: null,
      Config: bridge ? [{ Subnet: network.subnet, Gateway: network.gateway }] : null,
    },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(on.map((member) => [member.containerId, memberInfo(member)])),
    Options: { ...network.options },
    Labels: { ...network.labels },
  };
}

function memberInfo({ name, endpoint }: Member): NetworkInspect["Containers"][string] {
  return {
    Name: name,
    EndpointID: endpoint.endpointId,
    MacAddress: endpoint.macAddress,
    IPv4Address: endpoint.ipAddress === "" ? "" : `${endpoint.ipAddress}/${endpoint.prefixLength}`,
    IPv6Address: "",
  };
}
