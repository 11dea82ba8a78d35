/** Interfaces as containers see them: names, addresses and the way out, set from inside their namespace. */
import { writeFileSync } from "node:fs";
import { addAddress, findLink, removeDefaultRoute, setDefaultRoute, setUp } from "#kernel/links.ts";
import { Netlink } from "#kernel/netlink.ts";
import { inNamespace } from "#kernel/netns.ts";
import { Fault } from "#spec/fault.ts";
import type { Endpoint } from "#spec/network.ts";

/** Of an endpoint, beside its main address. */
export interface InterfaceExtras {
  readonly linkLocal: readonly string[];
  readonly sysctls: readonly (readonly [path: string, value: string])[];
}

/** The kernel's own, whatever is asked for beside it (RFC 3927). */
const linkLocalPrefix = 16;

/** Gives the new interfaces their addresses, brings them up, and makes `gateway` the way out. */
export function configureInterfaces(
  netnsPath: string,
  added: readonly (readonly [Endpoint, InterfaceExtras])[],
  gateway: string | undefined,
): void {
  inNamespace(netnsPath, () => {
    using netlink = new Netlink();
    for (const [endpoint, extras] of added) configure(netlink, endpoint, extras);
    if (gateway === undefined) removeDefaultRoute(netlink);
    else setDefaultRoute(netlink, gateway);
  });
}

function configure(netlink: Netlink, endpoint: Endpoint, extras: InterfaceExtras): void {
  const { interfaceName, ipAddress, prefixLength } = endpoint;
  if (interfaceName === "") return;
  const index = findLink(netlink, interfaceName)?.index ?? 0;
  for (const [path, value] of extras.sysctls) setSysctl(path, interfaceName, value);
  if (ipAddress !== "") addAddress(netlink, index, { address: ipAddress, prefixLength });
  for (const address of extras.linkLocal)
    addAddress(netlink, index, { address, prefixLength: linkLocalPrefix });
  setUp(netlink, index);
}

function setSysctl(path: string, interfaceName: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/${path.replaceAll(".", "/").replace("IFNAME", interfaceName)}`, value);
  } catch (cause) {
    throw new Fault("invalid", `cannot set the sysctl ${path} to ${JSON.stringify(value)}`, { cause });
  }
}
