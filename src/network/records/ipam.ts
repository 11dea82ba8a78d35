/** Pure. Which subnet a network gets, and which address a container. */
import { Fault } from "#spec/fault.ts";
import {
  addressBytes,
  type Family,
  familyOf,
  formatAddress,
  formatSubnet,
  overlap,
  parseAddress,
  rangeOf,
  type Subnet,
  widthOf,
} from "#spec/ip.ts";

/** Addresses to make subnets of: `size` is the prefix length of each. */
export interface AddressPool {
  readonly base: Subnet;
  readonly size: number;
}

/** dockerd's for IPv4, in its order. */
export const defaultPools: readonly AddressPool[] = [
  ...[17, 18, 19].map((part) => ({ base: { address: `172.${part}.0.0`, prefixLength: 16 }, size: 16 })),
  { base: { address: "172.20.0.0", prefixLength: 14 }, size: 16 },
  { base: { address: "172.24.0.0", prefixLength: 14 }, size: 16 },
  { base: { address: "172.28.0.0", prefixLength: 14 }, size: 16 },
  { base: { address: "192.168.0.0", prefixLength: 16 }, size: 20 },
];

/** A unique local prefix of 48 bits for whom `digest`, 5 bytes or more, belongs to (RFC 4193), in subnets of 64. */
export function localPool(digest: Uint8Array): AddressPool {
  const value = digest.subarray(0, 5).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0xfdn);
  return { base: { address: formatAddress(value << 80n, 6), prefixLength: 48 }, size: 64 };
}

/** As given, with another family's own where none of that family is among them. */
export function completePools(
  given: readonly AddressPool[] | undefined,
  local: AddressPool,
): readonly AddressPool[] {
  const of = (family: Family) => (given ?? []).filter(({ base }) => familyOf(base.address) === family);
  return [...(given === undefined ? defaultPools : of(4)), ...(of(6).length > 0 ? of(6) : [local])];
}

/** What keeps a subnet from being chosen, and whose it is: `network web`, `the host's route through eth0`. */
export interface UsedBy extends Subnet {
  readonly owner: string;
}

/** The first subnet of the pools that nothing uses. @throws Fault `unavailable`, saying what is in the way. */
export function chooseSubnet(
  used: readonly UsedBy[],
  pools: readonly AddressPool[],
  family: Family = 4,
): Subnet {
  const fitting = pools.filter(({ base }) => familyOf(base.address) === family);
  for (const { base, size } of fitting) {
    const [first, last] = rangeOf(base);
    const step = 1n << BigInt(widthOf(family) - size);
    for (let at = first; at <= last; ) {
      const candidate = { address: formatAddress(at, family), prefixLength: size };
      const obstacle = used.find((each) => overlap(each, candidate));
      if (obstacle === undefined) return candidate;
      // Behind all of it: one route may cover more subnets than can be looked at.
      const [, end] = rangeOf(obstacle);
      at = end < at + step ? at + step : end + 1n;
    }
  }
  throw new Fault(
    "unavailable",
    `all predefined address pools have been fully subnetted: ${inTheWay(used, fitting)}: remove networks nobody uses (network prune), choose a --subnet, or give the engine more with --default-address-pool`,
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
  return formatAddress(rangeOf(subnet)[0] + 1n, familyOf(subnet.address));
}

/** Addresses that hosts may have: neither the subnet's own nor, of IPv4, its broadcast. */
function hostRange(subnet: Subnet): [first: bigint, last: bigint] {
  const [first, last] = rangeOf(subnet);
  return [first + 1n, familyOf(subnet.address) === 4 ? last - 1n : last];
}

/**
 * The next free address of `within` after `after`, going around once: an address given back is not used again soon.
 * @throws Fault `unavailable` when all are taken.
 */
export function chooseAddress(
  subnet: Subnet,
  taken: { has(address: string): boolean },
  after: string,
  o: { readonly within?: Subnet | undefined; readonly network?: string | undefined } = {},
): string {
  const family = familyOf(subnet.address);
  const [first, last] = hostRange(subnet);
  const [from, to] = rangeOf(o.within ?? subnet);
  const [low, high] = [from > first ? from : first, to < last ? to : last];
  const count = high - low + 1n;
  const former = parseAddress(after);
  const start = former === undefined || former < low ? 0n : former - low + 1n;
  for (let step = 0n; step < count; step++) {
    const address = formatAddress(low + ((start + step) % count), family);
    if (!taken.has(address)) return address;
  }
  throw new Fault(
    "unavailable",
    `no available IPv${family} addresses on this network's address pools: ${o.network ?? formatSubnet(subnet)}: all ${count < 0n ? 0n : count} of ${formatSubnet(o.within ?? subnet)} are taken; disconnect containers, or make a larger network`,
  );
}

export function isHostAddress(subnet: Subnet, address: string): boolean {
  const value = familyOf(address) === familyOf(subnet.address) ? parseAddress(address) : undefined;
  const [first, last] = hostRange(subnet);
  return value !== undefined && value >= first && value <= last;
}

/** Six bytes in hex with colons, unicast. */
export function isMac(text: string): boolean {
  return /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text) && (Number.parseInt(text.slice(0, 2), 16) & 1) === 0;
}

/** Docker's scheme for containers: a local address with the IPv4 address in it, or the end of the IPv6 one. */
export function macOf(address: string): string {
  const bytes = [0x02, 0x42, ...addressBytes(address).slice(-4)];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(/[:-]/), (part) => Number.parseInt(part, 16));
}
