/**
 * Which address of which network is whose. What is leased stands in the records of sandboxes; this is the index of them.
 * Promises: an address is given once until it is given back, also over a crash, since a record is written before its use.
 */
import { Fault } from "#spec/fault.ts";
import type { NetworkRecord } from "#spec/network.ts";
import { chooseAddress, isHostAddress, parseSubnet } from "./ipam.ts";

interface NetworkLeases {
  /** Address to who has it, in words. */
  readonly holders: Map<string, string>;
  /** Container to the address it had last, the latest at the end. */
  readonly former: Map<string, string>;
  last: string;
}

/** Containers of one network whose last address is remembered, so that a restart keeps it where it can. */
const formerMax = 4096;

export class Leases {
  readonly #networks = new Map<string, NetworkLeases>();

  add(networkId: string, address: string, holder: string): void {
    if (address !== "") this.#of(networkId).holders.set(address, holder);
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
    asked: string | undefined,
  ): { address: string; prefixLength: number } {
    const [pool] = network.pools;
    if (pool === undefined) return { address: "", prefixLength: 0 };
    const subnet = parseSubnet(pool.subnet);
    const { prefixLength } = subnet;
    const leases = this.#of(network.id);
    const owner = (address: string) => ownOf(pool, address) ?? leases.holders.get(address);
    if (asked !== undefined && asked !== "") {
      const holder = isHostAddress(subnet, asked) ? owner(asked) : "the subnet itself";
      if (holder !== undefined)
        throw new Fault(
          "denied",
          `Address already in use: ${asked} of network ${network.name} belongs to ${holder}`,
        );
      return { address: asked, prefixLength };
    }
    const taken = { has: (address: string) => owner(address) !== undefined };
    const former = leases.former.get(containerId);
    if (former !== undefined && !taken.has(former)) return { address: former, prefixLength };
    const address = chooseAddress(subnet, taken, leases.last, {
      within: pool.range === undefined ? undefined : parseSubnet(pool.range),
      network: `${network.name} (${network.id})`,
    });
    leases.last = address;
    remember(leases.former, containerId, address);
    return { address, prefixLength };
  }

  #of(networkId: string): NetworkLeases {
    let found = this.#networks.get(networkId);
    if (found === undefined) {
      found = { holders: new Map(), former: new Map(), last: "0.0.0.0" };
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

function ownOf(pool: NetworkRecord["pools"][number], address: string): string | undefined {
  if (address === pool.gateway) return "its gateway";
  const name = Object.keys(pool.auxiliary).find((each) => pool.auxiliary[each] === address);
  return name === undefined ? undefined : `the auxiliary address ${name}`;
}
