/**
 * A network on the wire.
 * Pure.
 */

import type { NetworkMember } from "#api/engine-face.ts";
import type { NetworkInspect } from "#spec/docker-wire.ts";
import type { NetworkRecord } from "#spec/network.ts";

/** `GET /networks/{id}`, and with no members an entry of `GET /networks`. */
export function networkInspect(
  network: NetworkRecord,
  version: number,
  members: readonly NetworkMember[],
): NetworkInspect {
  const { ipam, pools } = network;
  const asked = new Set(ipam.config.map(({ Subnet }) => Subnet));
  const chosen = pools
    .filter(({ subnet }) => !asked.has(subnet))
    .map(({ auxiliary, gateway, range, subnet }) => ({
      Subnet: subnet,
      ...(range !== undefined && { IPRange: range }),
      ...(gateway !== "" && { Gateway: gateway }),
      ...(Object.keys(auxiliary).length > 0 && { AuxiliaryAddresses: { ...auxiliary } }),
    }));
  const config = [...ipam.config.map((each) => ({ ...each })), ...chosen];
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: "local",
    Driver: network.driver,
    ...(version >= 48 && { EnableIPv4: network.ipv4 }),
    EnableIPv6: network.ipv6,
    IPAM: {
      Driver: ipam.driver,
      Options: ipam.options === null ? null : { ...ipam.options },
      Config: config.length === 0 ? null : config,
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: network.configFrom },
    ConfigOnly: network.configOnly,
    Containers: Object.fromEntries(members.map((member) => [member.containerId, memberInfo(member)])),
    Options: { ...network.options },
    Labels: { ...network.labels },
  };
}

function memberInfo({ name, endpoint }: NetworkMember): NetworkInspect["Containers"][string] {
  return {
    Name: name,
    EndpointID: endpoint.endpointId,
    MacAddress: endpoint.macAddress,
    IPv4Address: endpoint.ipAddress === "" ? "" : `${endpoint.ipAddress}/${endpoint.prefixLength}`,
    IPv6Address: endpoint.ip6Address === "" ? "" : `${endpoint.ip6Address}/${endpoint.prefixLength6}`,
  };
}
