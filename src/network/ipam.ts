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

/** The first subnet of the pools that nothing uses. @throws Fault `unavailable` when there is none. */
export function chooseSubnet(used: readonly Subnet[], pools: readonly AddressPool[]): Subnet {
  for (const { base, size } of pools) {
    const [first, last] = range(base);
    for (let at = first; at <= last; at += 2 ** (32 - size)) {
      const candidate = { address: formatAddress(at), prefixLength: size };
      if (!used.some((each) => overlap(each, candidate))) return candidate;
    }
  }
  throw new Fault(
    "unavailable",
    "all predefined address pools have been fully subnetted: give the bridge a subnet with --bip",
  );
}

/** The first host address of a subnet. */
export function firstAddress(subnet: Subnet): string {
  return formatAddress(range(subnet)[0] + 1);
}

/**
 * The next free address after `after`, going around once: an address given back is not used again soon.
 * @throws Fault `unavailable` when all are taken.
 */
export function chooseAddress(subnet: Subnet, taken: ReadonlySet<string>, after: string): string {
  const [first, last] = range(subnet);
  // Neither the network's own address nor the broadcast.
  const [low, count] = [first + 1, last - first - 1];
  const start = Math.max(0, (parseAddress(after) ?? 0) - low + 1);
  for (let step = 0; step < count; step++) {
    const address = formatAddress(low + ((start + step) % count));
    if (!taken.has(address)) return address;
  }
  throw new Fault(
    "unavailable",
    `no available IPv4 addresses on this network's address pool: ${formatSubnet(subnet)}`,
  );
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
