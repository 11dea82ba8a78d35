/**
 * Pure. What a request for a network must respect, in dockerd's words, and which subnet it gets.
 */
import { Fault } from "#spec/fault.ts";
import type { NetworkCreateRequest, NetworkIpamConfig, NetworkPool, NetworkRecord } from "#spec/network.ts";
import {
  type AddressPool,
  chooseSubnet,
  contains,
  firstAddress,
  formatAddress,
  formatSubnet,
  isHostAddress,
  networkOf,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
  type UsedBy,
} from "./ipam.ts";

const reserved = ["bridge", "host", "none", "default"];
const swarmSentence =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

/** Everything that can be said before looking at other networks. @throws Fault in dockerd's words. */
export function checkNetworkRequest(o: NetworkCreateRequest): void {
  if (o.name.trim() === "") throw new Fault("invalid", `invalid name: ${o.name}`);
  if (reserved.includes(o.name))
    throw new Fault("denied", `operation is not permitted on predefined ${o.name} network `);
  if (o.driver === "overlay") throw new Fault("denied", swarmSentence);
  if (o.ingress) throw new Fault("denied", "Ingress network can only be global scope network");
  if (o.scope === "swarm")
    throw new Fault("denied", "cannot create a swarm scoped network when swarm is not active");
  if (o.scope !== "" && o.scope !== "local")
    throw new Fault("invalid", `invalid scope ${JSON.stringify(o.scope)}: want local`);
  if (o.ipv6) throw new Fault("unsupported", "IPv6 on networks is not supported by this engine yet");
  if (!o.ipv4 && !o.configOnly)
    throw new Fault(
      "unsupported",
      "a network without IPv4 needs IPv6, which this engine does not support yet",
    );
  if (o.ipam.driver !== "" && o.ipam.driver !== "default")
    throw new Fault("not-found", `plugin ${JSON.stringify(o.ipam.driver)} not found`);
  if (o.configFrom !== "" && o.configOnly)
    throw new Fault("denied", "a configuration network cannot depend on another configuration network");
  if (o.configFrom !== "" && (o.ipam.config.length > 0 || Object.keys(o.options).length > 0))
    throw new Fault(
      "denied",
      "user-specified configurations are not supported if the network depends on a configuration network",
    );
  const problems = o.ipam.config.flatMap(problemsOf);
  if (problems.length > 0) throw new Fault("invalid", `invalid network config:\n${joinProblems(problems)}`);
}

/** Several sentences in one message, as dockerd writes them. */
export function joinProblems(problems: readonly string[]): string {
  return problems.length === 1 ? (problems[0] ?? "") : problems.map((each) => `* ${each}`).join("\n");
}

function problemsOf(config: NetworkIpamConfig): string[] {
  const text = config.Subnet ?? "";
  if (text.includes(":")) return [`invalid subnet ${text}: IPv6 is not supported by this engine yet`];
  const subnet = parsed(text);
  if (subnet === undefined) return [`invalid subnet ${text}: invalid CIDR block notation`];
  const canonical = formatSubnet(networkOf(subnet));
  if (canonical !== text) return [`invalid subnet ${text}: it should be ${canonical}`];
  return [
    ...rangeProblems(config.IPRange ?? "", subnet),
    ...addressProblems("gateway", config.Gateway ?? "", "", subnet),
    ...Object.entries(config.AuxiliaryAddresses ?? {}).flatMap(([name, address]) =>
      addressProblems("auxiliary address", address, name, subnet),
    ),
  ];
}

function rangeProblems(text: string, subnet: Subnet): string[] {
  if (text === "") return [];
  const range = parsed(text);
  if (range === undefined) return [`invalid ip-range ${text}: invalid CIDR block notation`];
  if (range.prefixLength < subnet.prefixLength)
    return [`invalid ip-range ${text}: CIDR block is bigger than its parent subnet ${formatSubnet(subnet)}`];
  if (!contains(subnet, range.address))
    return [`invalid ip-range ${text}: parent subnet ${formatSubnet(subnet)} doesn't contain ip-range`];
  const canonical = formatSubnet(networkOf(range));
  return canonical === text ? [] : [`invalid ip-range ${text}: it should be ${canonical}`];
}

function addressProblems(what: string, address: string, name: string, subnet: Subnet): string[] {
  if (address === "" && name === "") return [];
  const label = name === "" ? address : name;
  if (parseAddress(address) === undefined) return [`invalid ${what} ${label}: invalid address`];
  return contains(subnet, address)
    ? []
    : [`invalid ${what} ${label}: parent subnet ${formatSubnet(subnet)} doesn't contain this address`];
}

function parsed(text: string): Subnet | undefined {
  try {
    return parseSubnet(text);
  } catch {
    return undefined;
  }
}

/**
 * The network's one pool: as asked, or the first free one.
 * @param taken Subnets of other networks and of the host, with their owners.
 * @throws Fault `denied` when another network has it, `unavailable` when no pool is free.
 */
export function planPool(
  config: readonly NetworkIpamConfig[],
  networks: readonly Pick<NetworkRecord, "name" | "pools">[],
  host: readonly UsedBy[],
  pools: readonly AddressPool[],
): NetworkPool {
  const ofNetworks = networks.flatMap(({ name, pools: own }) =>
    own.map(({ subnet }) => ({ ...parseSubnet(subnet), owner: `network ${name}` })),
  );
  const [asked] = config;
  if (asked?.Subnet === undefined) {
    const subnet = chooseSubnet([...ofNetworks, ...host], pools);
    return { subnet: formatSubnet(subnet), gateway: firstAddress(subnet), auxiliary: {} };
  }
  const subnet = parseSubnet(asked.Subnet);
  const other = ofNetworks.find((each) => overlap(each, subnet));
  if (other !== undefined)
    throw new Fault(
      "denied",
      `Pool overlaps with other one on this address space: ${other.owner} has ${formatSubnet(other)}`,
    );
  const auxiliary = asked.AuxiliaryAddresses ?? {};
  const gateway = asked.Gateway || defaultGateway(subnet, asked.IPRange, Object.values(auxiliary));
  if (!isHostAddress(subnet, gateway) || Object.values(auxiliary).includes(gateway))
    throw new Fault("internal", `failed to allocate gateway (${gateway}): Address already in use`);
  return {
    subnet: asked.Subnet,
    ...(asked.IPRange !== undefined && asked.IPRange !== "" && { range: asked.IPRange }),
    gateway,
    auxiliary,
  };
}

/** The first address containers could have, as dockerd has it: of the range, where there is one. */
function defaultGateway(subnet: Subnet, range: string | undefined, auxiliary: readonly string[]): string {
  const first = firstAddress(subnet);
  const from = range === undefined || range === "" ? first : parseSubnet(range).address;
  const start = from === subnet.address ? first : from;
  const value = parseAddress(start) ?? 0;
  for (let step = 0; step <= auxiliary.length; step++) {
    const candidate = formatAddress(value + step);
    if (!auxiliary.includes(candidate)) return candidate;
  }
  return start;
}

/** Subnets asked for that the host has routes into: allowed, but whoever asked should know. */
export function routeWarning(pool: NetworkPool, host: readonly UsedBy[]): string {
  const found = host.find((each) => overlap(each, parseSubnet(pool.subnet)));
  return found === undefined
    ? ""
    : `the subnet ${pool.subnet} overlaps ${formatSubnet(found)}, which ${found.owner} has: the host reaches the network's part of it no more`;
}
