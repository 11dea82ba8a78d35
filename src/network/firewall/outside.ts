/**
 * A place outside this host, for probes: a network namespace behind a pair of interfaces, as another machine on a cable of its own.
 * What it sends comes in like anything from outside, but for rules of the host that name an interface.
 * Promises: nothing of it leaves this machine; it is gone when disposed, and when the engine dies with the engine's next start.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { addAddress, setDefaultRoute } from "#kernel/network/addresses.ts";
import { addVeth, deleteLink, findLink, setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { hostHasIpv6 } from "#kernel/network/port-reservation.ts";
import { useIpv6 } from "#network/links/interfaces.ts";
import type { Namespaces } from "#network/links/namespaces.ts";
import { chooseSubnet, localPool, type UsedBy } from "#network/records/ipam.ts";
import { type Family, families, formatAddress, rangeOf, type Subnet } from "#spec/ip.ts";

export interface Outside extends Disposable {
  readonly netnsPath: string;
  /** Of this host, as it is reached from there. */
  readonly host: Readonly<Partial<Record<Family, string>>>;
  /** Its own. */
  readonly addresses: readonly string[];
}

/** Kept for measuring between networks (RFC 2544): nobody's on the internet. */
const benchmarking = { base: { address: "198.18.0.0", prefixLength: 15 }, size: 30 };

/** For the pair to be seen; some such kernels take a second when much is going on. */
const [waitMs, waitsMax] = [5, 400];

/** `used`: what networks and routes of the host have. @throws Fault or Errno where the kernel makes no such interfaces. */
export async function makeOutside(
  namespaces: Pick<Namespaces, "lend">,
  used: readonly UsedBy[],
  signal: AbortSignal,
): Promise<Outside> {
  using stack = new DisposableStack();
  const { path } = stack.use(namespaces.lend());
  const name = `wx${randomBytes(4).toString("hex")}`;
  const pools = [benchmarking, localPool(randomBytes(5))];
  const spoken = families.filter((family) => family === 4 || hostHasIpv6());
  const pairs = spoken.map((family) => {
    const { address, prefixLength } = chooseSubnet(used, pools, family);
    const [first] = rangeOf({ address, prefixLength });
    const at = (offset: bigint): Subnet => ({ address: formatAddress(first + offset, family), prefixLength });
    return { family, here: at(1n), there: at(2n) };
  });
  using netlink = new Netlink();
  const netns = openSync(path, "r");
  try {
    const mac = Buffer.concat([Buffer.from([2]), randomBytes(5)]);
    addVeth(netlink, { name, master: 0, peer: { netns, name: "eth0", mac } });
  } finally {
    closeSync(netns);
  }
  // Sooner than with its namespace, which the kernel takes away in its own time.
  stack.defer(() => void deletePair(name));
  give(
    netlink,
    name,
    pairs.map(({ here }) => here),
  );
  inNamespace(path, () => {
    using inside = new Netlink();
    give(
      inside,
      "eth0",
      pairs.map(({ there }) => there),
    );
    for (const { family, here } of pairs) setDefaultRoute(inside, family, { gateway: here.address });
  });
  // Until the kernel has looked at a new pair, what is sent through it is lost.
  for (let waits = 0; findLink(netlink, name)?.running !== true && waits < waitsMax; waits++) {
    signal.throwIfAborted();
    await Bun.sleep(waitMs);
  }
  const host = Object.fromEntries(pairs.map(({ family, here }) => [family, here.address]));
  const kept = stack.move();
  const addresses = pairs.map(({ there }) => there.address);
  return { netnsPath: path, host, addresses, [Symbol.dispose]: () => kept.dispose() };
}

function give(netlink: Netlink, name: string, subnets: readonly Subnet[]): void {
  useIpv6(name);
  const index = findLink(netlink, name)?.index ?? 0;
  for (const subnet of subnets) addAddress(netlink, index, subnet);
  setUp(netlink, index);
}

function deletePair(name: string): void {
  using netlink = new Netlink();
  deleteLink(netlink, name);
}
