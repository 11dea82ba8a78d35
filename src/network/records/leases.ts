/**
 * Which address of which network is whose. What is leased stands in the records of sandboxes; this is the index of them.
 * Promises: an address is given once until it is given back, also over a crash, since a record is written before its use.
 */
import { Fault } from "#spec/fault.ts";
import { contains, type Family, familyOf, parseSubnet } from "#spec/ip.ts";
import type { NetworkPool, NetworkRecord } from "#spec/network.ts";
import { chooseAddress, isHostAddress } from "./ipam.ts";

interface NetworkLeases {
  /** Address to who has it, in words. */
  readonly holders: Map<string, string>;
  /** Family and container to the address it had last, the latest at the end. */
  readonly former: Map<string, string>;
  /** By subnet: the address that was chosen last. */
  readonly last: Map<string, string>;
}

export interface Lease {
  /** Empty where the network has none of the family. */
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
}

/** dockerd's names of an auxiliary address that is the containers' way out, in place of the network's own gateway. */
export const wayOutName: Readonly<Record<Family, string>> = {
  4: "DefaultGatewayIPv4",
  6: "DefaultGatewayIPv6",
};

/** Containers of one network whose last address is remembered, so that a restart keeps it where it can. */
const formerMax = 4096;

export class Leases {
  readonly #networks = new Map<string, NetworkLeases>();

  add(networkId: string, address: string, holder: string): void {
    this.#of(networkId).holders.set(address, holder);
  }

  delete(networkId: string, address: string): void {
    this.#networks.get(networkId)?.holders.delete(address);
  }

  forget(networkId: string): void {
    this.#networks.delete(networkId);
  }

  /**
   * The address asked for, or the one the container had before, or another free one.
   * @throws Fault `denied` when somebody has the one asked for, `unavailable` when none is free.
   */
  choose(
    network: NetworkRecord,
    containerId: string,
    o: { readonly family: Family; readonly asked: string | undefined },
  ): Lease {
    const pools = network.pools.filter(({ subnet }) => familyOf(subnet) === o.family);
    if (pools.length === 0) return { address: "", prefixLength: 0, gateway: "" };
    const leases = this.#of(network.id);
    const owner = (pool: NetworkPool, address: string) => ownOf(pool, address) ?? leases.holders.get(address);
    if (o.asked !== undefined && o.asked !== "") return asked(network, pools, { address: o.asked, owner });
    const key = `${o.family} ${containerId}`;
    const former = leases.former.get(key);
    const home = former === undefined ? undefined : poolOf(pools, former);
    if (former !== undefined && home !== undefined && owner(home, former) === undefined)
      return leaseOf(home, former);
    const lease = this.#free(network, pools, owner);
    remember(leases.former, key, lease.address);
    return lease;
  }

  /** Of the first pool that has one. */
  #free(
    network: NetworkRecord,
    pools: readonly NetworkPool[],
    owner: (pool: NetworkPool, address: string) => string | undefined,
  ): Lease {
    const { last } = this.#of(network.id);
    let full: unknown;
    for (const pool of pools) {
      const taken = { has: (address: string) => owner(pool, address) !== undefined };
      try {
        const address = chooseAddress(parseSubnet(pool.subnet), taken, last.get(pool.subnet) ?? "", {
          within: pool.range === undefined ? undefined : parseSubnet(pool.range),
          network: `${network.name} (${network.id})`,
        });
        last.set(pool.subnet, address);
        return leaseOf(pool, address);
      } catch (thrown) {
        full = thrown;
      }
    }
    throw full;
  }

  #of(networkId: string): NetworkLeases {
    let found = this.#networks.get(networkId);
    if (found === undefined) {
      found = { holders: new Map(), former: new Map(), last: new Map() };
      this.#networks.set(networkId, found);
    }
    return found;
  }
}

function remember(former: Map<string, string>, containerId: string, address: string): void {
  former.delete(containerId);
  former.set(containerId, address);
  const [oldest] = former.keys();
  if (former.size > formerMax && oldest !== undefined) former.delete(oldest);
}

function poolOf(pools: readonly NetworkPool[], address: string): NetworkPool | undefined {
  return pools.find(({ subnet }) => contains(parseSubnet(subnet), address));
}

function leaseOf({ auxiliary, gateway, subnet }: NetworkPool, address: string): Lease {
  const { prefixLength } = parseSubnet(subnet);
  return { address, prefixLength, gateway: auxiliary[wayOutName[familyOf(subnet)]] ?? gateway };
}

function asked(
  network: NetworkRecord,
  pools: readonly NetworkPool[],
  o: { readonly address: string; owner(pool: NetworkPool, address: string): string | undefined },
): Lease {
  const pool = poolOf(pools, o.address);
  const holder =
    pool !== undefined && isHostAddress(parseSubnet(pool.subnet), o.address)
      ? o.owner(pool, o.address)
      : "the subnet itself";
  if (pool === undefined || holder !== undefined)
    throw new Fault(
      "denied",
      `Address already in use: ${o.address} of network ${network.name} belongs to ${holder}`,
    );
  return leaseOf(pool, o.address);
}

function ownOf(pool: NetworkPool, address: string): string | undefined {
  if (address === pool.gateway) return "its gateway";
  const name = Object.keys(pool.auxiliary).find((each) => pool.auxiliary[each] === address);
  return name === undefined ? undefined : `the auxiliary address ${name}`;
}
