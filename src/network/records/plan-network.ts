/**
 * Pure. What a request for a network must respect, in dockerd's words, and which subnet it gets.
 */
import { Fault } from "#spec/fault.ts";
import {
  contains,
  type Family,
  families,
  familyOf,
  formatAddress,
  formatSubnet,
  networkOf,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "#spec/ip.ts";
import type { NetworkCreateRequest, NetworkIpamConfig, NetworkPool, NetworkRecord } from "#spec/network.ts";
import { type AddressPool, chooseSubnet, firstAddress, isHostAddress, type UsedBy } from "./ipam.ts";

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
  if (!o.ipv4 && !o.ipv6 && !o.configOnly) throw new Fault("invalid", "IPv4 or IPv6 must be enabled");
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

export interface PoolRequest {
  readonly config: readonly NetworkIpamConfig[];
  readonly families: readonly Family[];
  /** Whether an address of the family is kept for a gateway. */
  readonly hasGateway: (family: Family) => boolean;
}

/** What a network must keep out of the way of. */
export interface Surroundings {
  readonly networks: readonly Pick<NetworkRecord, "name" | "pools">[];
  /** Routes and addresses of the host. */
  readonly host: readonly UsedBy[];
  readonly pools: readonly AddressPool[];
}

/**
 * The network's subnets: as asked, or of each family the first free one.
 * @throws Fault `denied` when another network has it, `unavailable` when no pool is free.
 */
export function planPools(o: PoolRequest, around: Surroundings): NetworkPool[] {
  const ofNetworks = around.networks.flatMap(({ name, pools }) =>
    pools.map(({ subnet }) => ({ ...parseSubnet(subnet), owner: `network ${name}` })),
  );
  return o.families.flatMap((family) => {
    const asked = o.config.filter(({ Subnet = "" }) => Subnet !== "" && familyOf(Subnet) === family);
    const withGateway = o.hasGateway(family);
    if (asked.length > 0) return asked.map((each) => askedPool(each, ofNetworks, withGateway));
    const subnet = chooseSubnet([...ofNetworks, ...around.host], around.pools, family);
    const gateway = withGateway ? firstAddress(subnet) : "";
    return [{ subnet: formatSubnet(subnet), gateway, auxiliary: {} }];
  });
}

export function wantedFamilies({ ipv4, ipv6 }: Pick<NetworkRecord, "ipv4" | "ipv6">): Family[] {
  return families.filter((family) => (family === 4 ? ipv4 : ipv6));
}

function askedPool(
  asked: NetworkIpamConfig,
  ofNetworks: readonly UsedBy[],
  withGateway: boolean,
): NetworkPool {
  const subnet = parseSubnet(asked.Subnet ?? "");
  const other = ofNetworks.find((each) => overlap(each, subnet));
  if (other !== undefined)
    throw new Fault(
      "denied",
      `Pool overlaps with other one on this address space: ${other.owner} has ${formatSubnet(other)}`,
    );
  const auxiliary = asked.AuxiliaryAddresses ?? {};
  const range = asked.IPRange ?? "";
  const chosen = withGateway ? defaultGateway(subnet, range, Object.values(auxiliary)) : "";
  const gateway = asked.Gateway || chosen;
  const fits = isHostAddress(subnet, gateway) && !Object.values(auxiliary).includes(gateway);
  if (gateway !== "" && !fits)
    throw new Fault("internal", `failed to allocate gateway (${gateway}): Address already in use`);
  return { subnet: formatSubnet(subnet), ...(range !== "" && { range }), gateway, auxiliary };
}

/** The first address containers could have, as dockerd has it: of the range, where there is one. */
function defaultGateway(subnet: Subnet, range: string, auxiliary: readonly string[]): string {
  const first = firstAddress(subnet);
  const from = range === "" ? first : parseSubnet(range).address;
  const start = from === subnet.address ? first : from;
  const value = parseAddress(start) ?? 0n;
  for (let step = 0n; step <= auxiliary.length; step++) {
    const candidate = formatAddress(value + step, familyOf(start));
    if (!auxiliary.includes(candidate)) return candidate;
  }
  return start;
}

/** Subnets that the host has routes into: allowed where asked for, but whoever looks should know. */
export function routeWarnings(pools: readonly NetworkPool[], host: readonly UsedBy[]): string[] {
  return pools.flatMap(({ subnet }) => {
    const found = host.find((each) => overlap(each, parseSubnet(subnet)));
    return found === undefined
      ? []
      : [
          `the subnet ${subnet} overlaps ${formatSubnet(found)}, which ${found.owner} has: the host reaches the network's part of it no more`,
        ];
  });
}
