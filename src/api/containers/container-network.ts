/**
 * A container's endpoints and ports on the wire.
 * Pure.
 */

import type { ContainerGlance } from "#api/engine-face.ts";
import type { PortBinding } from "#spec/container.ts";
import type { EndpointInfo, PortSummary } from "#spec/docker-wire.ts";
import { isAnywhere } from "#spec/ip.ts";
import { type Endpoint, isUserDefined } from "#spec/network.ts";

/** Attachments by network name: those that are, or will be when the container is started. */
export function endpointInfos(detail: ContainerGlance, version: number): Record<string, EndpointInfo> {
  const { record, sandbox, networks } = detail;
  return Object.fromEntries(
    networks.map(({ id, name }): [string, EndpointInfo] => {
      const actual = sandbox?.endpoints.find(({ networkName }) => networkName === name);
      return [name, endpointInfo(record, { id, name }, actual, version)];
    }),
  );
}

function endpointInfo(
  record: ContainerGlance["record"],
  network: { readonly id: string; readonly name: string },
  actual: Endpoint | undefined,
  version: number,
): EndpointInfo {
  const asked = record.endpoints[network.name];
  const userDefined = isUserDefined(network.name);
  const shortNames = [record.id.slice(0, 12), record.config.Hostname ?? ""].filter((name) => name !== "");
  const aliases = asked?.Aliases ?? null;
  return {
    IPAMConfig: asked?.IPAMConfig ?? null,
    Links: asked?.Links ?? null,
    Aliases: version < 45 && userDefined ? [...new Set([...(aliases ?? []), ...shortNames])] : aliases,
    // As dockerd, which shows what was asked for until the first start, and then what there is.
    MacAddress: actual?.macAddress ?? (record.run === 0 ? (asked?.MacAddress ?? "") : ""),
    DriverOpts: asked?.DriverOpts ?? null,
    ...(version >= 48 && { GwPriority: asked?.GwPriority ?? 0 }),
    // As dockerd, which puts it there with the first start.
    NetworkID: actual?.networkId ?? (record.run === 0 ? "" : network.id),
    EndpointID: actual?.endpointId ?? "",
    Gateway: shownGateway(actual?.gateway),
    IPAddress: actual?.ipAddress ?? "",
    IPPrefixLen: actual?.prefixLength ?? 0,
    IPv6Gateway: shownGateway(actual?.gateway6),
    GlobalIPv6Address: actual?.ip6Address ?? "",
    GlobalIPv6PrefixLen: actual?.prefixLength6 ?? 0,
    DNSNames:
      userDefined && record.run > 0 ? [...new Set([record.name, ...(aliases ?? []), ...shortNames])] : null,
  };
}

/** A link that leads out by itself has none. */
function shownGateway(gateway = ""): string {
  return isAnywhere(gateway) ? "" : gateway;
}

/**
 * Published ports as in `NetworkSettings.Ports`. Exposed ports that are not published are there with null, where the
 * container is on a bridge with a way out: elsewhere nothing could be.
 */
export function portMap({ record, sandbox }: ContainerGlance): Record<string, PortBinding[] | null> {
  if (sandbox === undefined) return {};
  const ports: Record<string, PortBinding[] | null> = {};
  if (sandbox.endpoints.some((each) => each.hostInterface !== "" && `${each.gateway}${each.gateway6}` !== ""))
    for (const port of exposedPorts(record.config.ExposedPorts ?? {})) ports[port] = null;
  for (const { containerPort, protocol, hostIp, hostPort } of sandbox.ports) {
    const key = `${containerPort}/${protocol}`;
    const HostPort = hostPort === 0 ? "" : String(hostPort);
    ports[key] = [...(ports[key] ?? []), { HostIp: hostIp, HostPort }];
  }
  return ports;
}

/** Ports of a list entry: published ones once per host address, exposed ones without a host side. */
export function portSummaries(detail: ContainerGlance): PortSummary[] {
  return Object.entries(portMap(detail)).flatMap(([key, bindings]): PortSummary[] => {
    const [port, Type = "tcp"] = key.split("/");
    const PrivatePort = Number(port);
    if (bindings === null) return [{ PrivatePort, Type }];
    return bindings.map(({ HostIp = "", HostPort }) =>
      HostPort === ""
        ? { PrivatePort, Type }
        : { IP: HostIp, PrivatePort, PublicPort: Number(HostPort), Type },
    );
  });
}

/** Single ports of an `ExposedPorts` set, ranges taken apart. */
function exposedPorts(exposed: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(exposed).flatMap((key) => {
    const [range = "", protocol = "tcp"] = key.split("/");
    const [low = 0, high = low] = range.split("-").map(Number);
    return Array.from({ length: Math.max(0, high - low + 1) }, (_, index) => `${low + index}/${protocol}`);
  });
}
