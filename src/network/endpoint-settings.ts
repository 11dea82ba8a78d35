/** Pure. What a container asks of one network (Engine API `EndpointSettings`), checked in dockerd's words. */
import type { EndpointSettings } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { type Endpoint, isUserDefined, type NetworkRecord } from "#spec/network.ts";
import { contains, isMac, parseAddress, parseSubnet } from "./ipam.ts";
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
  const { IPv4Address: address = "", IPv6Address = "", LinkLocalIPs } = settings.IPAMConfig ?? {};
  if (IPv6Address !== "" || (LinkLocalIPs ?? []).some((each) => each.includes(":")))
    throw new Fault("unsupported", "IPv6 addresses are not supported by this engine yet");
  const problems: string[] = [];
  if (!isUserDefined(name)) {
    if (address !== "") problems.push("user specified IP address is supported on user defined networks only");
    if ((settings.Aliases ?? []).length > 0)
      problems.push("network-scoped alias is supported only for containers in user defined networks");
    if ((settings.Links ?? []).length > 0)
      problems.push("links are supported only for containers in user defined networks");
  }
  if (address !== "" && parseAddress(address) === undefined)
    problems.push(`invalid IPv4 address: ${address}`);
  for (const each of LinkLocalIPs ?? [])
    if (parseAddress(each) === undefined) problems.push(`invalid link-local IP address: ${each}`);
  if (address !== "" && network !== undefined) problems.push(...outOfReach(address, network));
  if (problems.length > 0)
    throw new Fault("invalid", `invalid endpoint settings:\n${joinProblems(problems)}`);
  const mac = settings.MacAddress ?? "";
  if (mac !== "" && !isMac(mac)) throw new Fault("invalid", `invalid MAC address ${mac}`);
  endpointOptions(settings.DriverOpts ?? {});
}

function outOfReach(address: string, { ipam, pools }: NetworkRecord): string[] {
  if (ipam.config.every(({ Subnet = "" }) => Subnet === ""))
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

/** The endpoints by who should be a container's way out: the first one is, if it leads anywhere. */
export function gatewayOrder<Kind extends Pick<Endpoint, "gateway" | "gatewayPriority" | "networkName">>(
  endpoints: readonly Kind[],
): Kind[] {
  return [...endpoints].sort(
    (a, b) =>
      Number(b.gateway !== "") - Number(a.gateway !== "") ||
      b.gatewayPriority - a.gatewayPriority ||
      (a.networkName < b.networkName ? -1 : 1),
  );
}

/** The first free name of an interface. */
export function nextInterface(prefix: string, taken: readonly string[]): string {
  for (let number = 0; ; number++) if (!taken.includes(`${prefix}${number}`)) return `${prefix}${number}`;
}
