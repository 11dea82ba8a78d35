/** What a container gets on a network: addresses, names of interfaces, its way out. Chosen, not yet made. */
import { randomBytes } from "node:crypto";
import { dnsNames, endpointOptions, nextInterface } from "#network/records/endpoint-settings.ts";
import { macOf } from "#network/records/ipam.ts";
import type { Lease, Leases } from "#network/records/leases.ts";
import type { EndpointSettings } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { anywhere, canonicalAddress, type Family } from "#spec/ip.ts";
import { type Endpoint, isUserDefined, type NetworkRecord } from "#spec/network.ts";
import type { NetworkDriver } from "./driver.ts";

export interface EndpointRequest {
  readonly member: { readonly containerId: string; readonly name: string; readonly hostname: string };
  readonly network: NetworkRecord;
  readonly settings: EndpointSettings;
  /** Those it has already. */
  readonly others: readonly Endpoint[];
}

/** @throws Fault `denied` or `unavailable` for an address, `conflict` for the name of an interface. */
export function planEndpoint(o: EndpointRequest, driver: NetworkDriver, leases: Leases): Endpoint {
  const { member, network, settings } = o;
  const { IPv4Address, IPv6Address } = settings.IPAMConfig ?? {};
  const lease = (family: Family, asked: string | undefined) =>
    leases.choose(network, member.containerId, {
      family,
      asked: asked === undefined ? undefined : canonicalAddress(asked),
    });
  const [ipv4, ipv6] = [lease(4, IPv4Address), lease(6, IPv6Address)];
  const gateway = (family: Family, { address, gateway: own }: Lease) => {
    const leads = address !== "" && driver.leadsOut(network);
    return leads === "link" ? anywhere[family] : leads ? own : "";
  };
  const endpointId = randomBytes(32).toString("hex");
  const mac = settings.MacAddress || macOf(ipv4.address || ipv6.address);
  return {
    networkId: network.id,
    networkName: network.name,
    endpointId,
    ipAddress: ipv4.address,
    prefixLength: ipv4.prefixLength,
    gateway: gateway(4, ipv4),
    ip6Address: ipv6.address,
    prefixLength6: ipv6.prefixLength,
    gateway6: gateway(6, ipv6),
    macAddress: driver.addressed ? mac.replaceAll("-", ":").toLowerCase() : "",
    interfaceName: driver.addressed ? interfaceName(o, driver) : "",
    hostInterface: driver.hostPrefix === "" ? "" : `${driver.hostPrefix}${endpointId.slice(0, 11)}`,
    gatewayPriority: settings.GwPriority ?? 0,
    dnsNames: isUserDefined(network.name) ? dnsNames({ ...member, aliases: settings.Aliases ?? [] }) : [],
    links: settings.Links ?? [],
  };
}

function interfaceName({ network, settings, others }: EndpointRequest, driver: NetworkDriver): string {
  const { interfaceName: asked } = endpointOptions(settings.DriverOpts ?? {});
  const taken = others.map((each) => each.interfaceName);
  if (asked !== undefined && taken.includes(asked))
    throw new Fault("conflict", `the container has an interface ${asked} already`);
  return asked ?? nextInterface(driver.interfacePrefix(network), taken);
}
