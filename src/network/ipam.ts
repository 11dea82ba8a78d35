/** Pure. Which subnet a bridge gets, and which address a container. IPv4, as unsigned numbers and dotted text. */
import { Fault } from "#spec/fault.ts";

export interface Subnet {
  readonly address: string;
  readonly prefixLength: number;
}

/** Addresses to make subnets of: `size` is the prefix length of each. */
export interface AddressPool {
  readonly base: Subnet;
  readonly size: number;
}

/** dockerd's, in its order. */
export const defaultPools: readonly AddressPool[] = [
  ...[17, 18, 19].map((part) => ({ base: { address: `172.${part}.0.0`, prefixLength: 16 }, size: 16 })),
  { base: { address: "172.20.0.0", prefixLength: 14 }, size: 16 },
  { base: { address: "172.24.0.0", prefixLength: 14 }, size: 16 },
  { base: { address: "172.28.0.0", prefixLength: 14 }, size: 16 },
  { base: { address: "192.168.0.0", prefixLength: 16 }, size: 20 },
];

export function parseAddress(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const parts = match?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return undefined;
  return parts.reduce((value, part) => value * 256 + part, 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}

/** `10.0.0.1/24`, the host part kept. @throws Fault `invalid`. */
export function parseSubnet(text: string): Subnet {
  const [address = "", length = ""] = text.split("/");
  const prefixLength = Number(length);
  if (parseAddress(address) === undefined || !/^\d{1,2}$/.test(length) || prefixLength > 32)
    throw new Fault("invalid", `invalid CIDR address: ${text}`);
  return { address, prefixLength };
}

export function formatSubnet({ address, prefixLength }: Subnet): string {
  return `${address}/${prefixLength}`;
}

function range({ address, prefixLength }: Subnet): [first: number, last: number] {
  const size = 2 ** (32 - prefixLength);
  const value = parseAddress(address) ?? 0;
  const first = value - (value % size);
  return [first, first + size - 1];
}

/** With the host part zero. */
export function networkOf(subnet: Subnet): Subnet {
  return { address: formatAddress(range(subnet)[0]), prefixLength: subnet.prefixLength };
}

export function overlap(one: Subnet, other: Subnet): boolean {
  const [firstOfOne, lastOfOne] = range(one);
  const [firstOfOther, lastOfOther] = range(other);
  return firstOfOne <= lastOfOther && firstOfOther <= lastOfOne;
}

export function contains(subnet: Subnet, address: string): boolean {
  return overlap(subnet, { address, prefixLength: 32 });
}

/** What keeps a subnet from being chosen, and whose it is: `network web`, `the host's route through eth0`. */
export interface UsedBy extends Subnet {
  readonly owner: string;
}

/** The first subnet of the pools that nothing uses. @throws Fault `unavailable`, saying what is in the way. */
export function chooseSubnet(used: readonly UsedBy[], pools: readonly AddressPool[]): Subnet {
  for (const { base, size } of pools) {
    const [first, last] = range(base);
    for (let at = first; at <= last; at += 2 ** (32 - size)) {
      const candidate = { address: formatAddress(at), prefixLength: size };
      if (!used.some((each) => overlap(each, candidate))) return candidate;
    }
  }
  throw new Fault(
    "unavailable",
    `all predefined address pools have been fully subnetted: ${inTheWay(used, pools)}: remove networks nobody uses (network prune), choose a --subnet, or give the engine more with --default-address-pool`,
  );
}

/** How many of those in the way are named. */
const namedMax = 5;

function inTheWay(used: readonly UsedBy[], pools: readonly AddressPool[]): string {
  const blocking = used.filter((each) => pools.some(({ base }) => overlap(base, each)));
  // The widest first: one route may cover them all.
  const widest = [...blocking].sort((a, b) => a.prefixLength - b.prefixLength);
  const named = [...new Set(widest.map((each) => `${each.owner} has ${formatSubnet(each)}`))];
  const more = named.length - namedMax;
  return named.slice(0, namedMax).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** The first host address of a subnet. */
export function firstAddress(subnet: Subnet): string {
  return formatAddress(range(subnet)[0] + 1);
}

/**
 * The next free address of `within` after `after`, going around once: an address given back is not used again soon.
 * Neither the subnet's own address nor its broadcast is ever chosen.
 * @throws Fault `unavailable` when all are taken.
 */
export function chooseAddress(
  subnet: Subnet,
  taken: { has(address: string): boolean },
  after: string,
  o: { readonly within?: Subnet | undefined; readonly network?: string | undefined } = {},
): string {
  const [first, last] = range(subnet);
  const [from, to] = range(o.within ?? subnet);
  const [low, high] = [Math.max(from, first + 1), Math.min(to, last - 1)];
  const count = high - low + 1;
  const start = Math.max(0, (parseAddress(after) ?? 0) - low + 1);
  for (let step = 0; step < count; step++) {
    const address = formatAddress(low + ((start + step) % count));
    if (!taken.has(address)) return address;
  }
  throw new Fault(
    "unavailable",
    `no available IPv4 addresses on this network's address pools: ${o.network ?? formatSubnet(subnet)}: all ${Math.max(0, count)} of ${formatSubnet(o.within ?? subnet)} are taken; disconnect containers, or make a larger network`,
  );
}

/** A host address: neither the subnet's own nor its broadcast. */
export function isHostAddress(subnet: Subnet, address: string): boolean {
  const value = parseAddress(address);
  const [first, last] = range(subnet);
  return value !== undefined && value > first && value < last;
}

/** Six bytes in hex with colons, unicast. */
export function isMac(text: string): boolean {
  return /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text) && (Number.parseInt(text.slice(0, 2), 16) & 1) === 0;
}

/** Docker's scheme for containers: a local address with the IPv4 address in it. */
export function macOf(address: string): string {
  const value = parseAddress(address) ?? 0;
  return [
    "02",
    "42",
    ...[24, 16, 8, 0].map((shift) => ((value >>> shift) & 255).toString(16).padStart(2, "0")),
  ].join(":");
}
