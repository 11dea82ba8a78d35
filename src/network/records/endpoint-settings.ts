/** Pure. What a container asks of one network (Engine API `EndpointSettings`), checked in dockerd's words. */
import type { EndpointSettings } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { contains, type Family, familyOf, parseAddress, parseSubnet } from "#spec/ip.ts";
import { type Endpoint, isUserDefined, type NetworkRecord } from "#spec/network.ts";
import { isMac } from "./ipam.ts";
import { joinProblems } from "./plan-network.ts";

const optionPrefix = "com.docker.network.endpoint.";
const [interfaceOption, sysctlOption] = [`${optionPrefix}ifname`, `${optionPrefix}sysctls`];

/**
 * `network` is absent when it is not there yet, which only its use would show.
 * @throws Fault `invalid` or `unsupported` with everything that is wrong.
 */
export function checkEndpoint(
  settings: EndpointSettings,
  name: string,
  network: NetworkRecord | undefined,
): void {
  const { IPv4Address = "", IPv6Address = "", LinkLocalIPs } = settings.IPAMConfig ?? {};
  const problems: string[] = [];
  const asked = [
    [4, IPv4Address],
    [6, IPv6Address],
  ] as const;
  const given = asked.filter(([, address]) => address !== "");
  if (!isUserDefined(name)) {
    if (given.length > 0)
      problems.push("user specified IP address is supported on user defined networks only");
    if ((settings.Aliases ?? []).length > 0)
      problems.push("network-scoped alias is supported only for containers in user defined networks");
    if ((settings.Links ?? []).length > 0)
      problems.push("links are supported only for containers in user defined networks");
  }
  for (const [family, address] of given)
    if (parseAddress(address) === undefined || familyOf(address) !== family)
      problems.push(`invalid IPv${family} address: ${address}`);
  for (const each of LinkLocalIPs ?? [])
    if (parseAddress(each) === undefined) problems.push(`invalid link-local IP address: ${each}`);
  if (network !== undefined)
    problems.push(...given.flatMap(([family, address]) => outOfReach(address, family, network)));
  if (problems.length > 0)
    throw new Fault("invalid", `invalid endpoint settings:\n${joinProblems(problems)}`);
  const mac = settings.MacAddress ?? "";
  if (mac !== "" && !isMac(mac)) throw new Fault("invalid", `invalid MAC address ${mac}`);
  endpointOptions(settings.DriverOpts ?? {});
}

function outOfReach(address: string, family: Family, { ipam, pools }: NetworkRecord): string[] {
  if (!ipam.config.some(({ Subnet = "" }) => Subnet !== "" && familyOf(Subnet) === family))
    return [
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    ];
  const inside =
    parseAddress(address) === undefined || pools.some(({ subnet }) => contains(parseSubnet(subnet), address));
  return inside ? [] : [`no configured subnet or ip-range contain the IP address ${address}`];
}

export interface EndpointOptions {
  readonly interfaceName: string | undefined;
  /** `net.ipv4.conf.IFNAME.log_martians` to its value. */
  readonly sysctls: readonly (readonly [path: string, value: string])[];
}

/** @throws Fault `unsupported` for an option nobody knows, `invalid` for a value that cannot be. */
export function endpointOptions(options: Readonly<Record<string, string>>): EndpointOptions {
  const strange = Object.keys(options).find((key) => key !== interfaceOption && key !== sysctlOption);
  if (strange !== undefined)
    throw new Fault("unsupported", `the endpoint option ${strange} is not supported by this engine`);
  const name = options[interfaceOption];
  if (name !== undefined && (!/^[^\s/:"'\\]{1,15}$/.test(name) || [".", "..", "lo"].includes(name)))
    throw new Fault("invalid", `invalid interface name ${JSON.stringify(name)}`);
  const sysctls = (options[sysctlOption] ?? "")
    .split(",")
    .filter((each) => each !== "")
    .map((each): readonly [string, string] => {
      const match = /^(net\.(?:ipv4|ipv6|mpls)\.(?:conf|neigh)\.IFNAME\.[a-z0-9_]+)=([^\n]*)$/.exec(each);
      if (match === null)
        throw new Fault(
          "invalid",
          `invalid sysctl ${JSON.stringify(each)} of an endpoint: want net.ipv4.conf.IFNAME.NAME=VALUE`,
        );
      return [match[1] ?? "", match[2] ?? ""];
    });
  return { interfaceName: name, sysctls };
}

/** Docker's names of a container on a network: its own, its aliases, its short id, its host name. */
export function dnsNames(o: {
  readonly containerId: string;
  readonly name: string;
  readonly hostname: string;
  readonly aliases: readonly string[];
}): string[] {
  const names = [o.name, ...o.aliases, o.containerId.slice(0, 12), o.hostname];
  return [...new Set(names.filter((each) => each !== ""))];
}

type Gated = Pick<Endpoint, "gateway" | "gateway6" | "gatewayPriority" | "networkName">;

/**
 * The endpoints by who should be a container's way out, of one family or of any: the first one is, if it leads anywhere.
 */
export function gatewayOrder<Kind extends Gated>(endpoints: readonly Kind[], family?: Family): Kind[] {
  const leads = ({ gateway, gateway6 }: Gated): number =>
    Number((family !== 6 && gateway !== "") || (family !== 4 && gateway6 !== ""));
  return [...endpoints].sort(
    (a, b) =>
      leads(b) - leads(a) ||
      b.gatewayPriority - a.gatewayPriority ||
      (a.networkName < b.networkName ? -1 : 1),
  );
}

/** The first free name of an interface. */
export function nextInterface(prefix: string, taken: readonly string[]): string {
  for (let number = 0; ; number++) if (!taken.includes(`${prefix}${number}`)) return `${prefix}${number}`;
}
