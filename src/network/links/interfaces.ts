/** Interfaces as containers see them: names, addresses and the way out, set from inside their namespace. */
import { writeFileSync } from "node:fs";
import { addAddress, removeDefaultRoute, setDefaultRoute } from "#kernel/network/addresses.ts";
import { findLink, setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { gatewayOrder } from "#network/records/endpoint-settings.ts";
import { Fault } from "#spec/fault.ts";
import { anywhere, type Family, families, familyOf } from "#spec/ip.ts";
import { type Endpoint, gatewayIn } from "#spec/network.ts";
import { write } from "./namespaces.ts";

/** Of an endpoint, beside its main address. */
export interface InterfaceExtras {
  readonly linkLocal: readonly string[];
  readonly sysctls: readonly (readonly [path: string, value: string])[];
}

/** The kernel's own, whatever is asked for beside it (RFC 3927, RFC 4291). */
const linkLocalPrefix: Readonly<Record<Family, number>> = { 4: 16, 6: 64 };

/** Gives the new interfaces their addresses, brings them up, and makes the way out what it is with all `endpoints`. */
export function configureInterfaces(
  netnsPath: string,
  added: readonly (readonly [Endpoint, InterfaceExtras])[],
  endpoints: readonly Endpoint[],
): void {
  inNamespace(netnsPath, () => {
    using netlink = new Netlink();
    for (const [endpoint, extras] of added) configure(netlink, endpoint, extras);
    for (const family of families) leadOut(netlink, endpoints, family);
  });
}

function leadOut(netlink: Netlink, endpoints: readonly Endpoint[], family: Family): void {
  const [first] = gatewayOrder(endpoints, family);
  const gateway = first === undefined ? "" : gatewayIn(first, family);
  if (gateway === "") removeDefaultRoute(netlink, family);
  else if (gateway !== anywhere[family]) setDefaultRoute(netlink, family, { gateway });
  else {
    // The link itself leads out.
    const index = findLink(netlink, first?.interfaceName ?? "")?.index ?? 0;
    setDefaultRoute(netlink, family, { index });
  }
}

function configure(netlink: Netlink, endpoint: Endpoint, extras: InterfaceExtras): void {
  const { interfaceName, ipAddress, ip6Address, prefixLength, prefixLength6 } = endpoint;
  if (interfaceName === "") return;
  const index = findLink(netlink, interfaceName)?.index ?? 0;
  if (ip6Address !== "" || extras.linkLocal.some((each) => familyOf(each) === 6)) useIpv6(interfaceName);
  for (const [path, value] of extras.sysctls) setSysctl(path, interfaceName, value);
  if (ipAddress !== "") addAddress(netlink, index, { address: ipAddress, prefixLength });
  if (ip6Address !== "") addAddress(netlink, index, { address: ip6Address, prefixLength: prefixLength6 });
  for (const address of extras.linkLocal)
    addAddress(netlink, index, { address, prefixLength: linkLocalPrefix[familyOf(address)] });
  setUp(netlink, index);
}

/** An interface takes addresses of IPv6 at once, without waiting whether somebody else has them, and routes from us alone. */
export function useIpv6(interfaceName: string): void {
  for (const [name, value] of [
    ["disable_ipv6", "0"],
    ["accept_dad", "0"],
    ["accept_ra", "0"],
  ] as const)
    write(`/proc/sys/net/ipv6/conf/${interfaceName}/${name}`, value);
}

function setSysctl(path: string, interfaceName: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/${path.replaceAll(".", "/").replace("IFNAME", interfaceName)}`, value);
  } catch (cause) {
    throw new Fault("invalid", `cannot set the sysctl ${path} to ${JSON.stringify(value)}`, { cause });
  }
}
