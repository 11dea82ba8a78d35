/**
 * For tests only: what differs between an engine's records of networks and the kernel, element by element, in words.
 * Looks with `ip` and libnftables, so that the code that made things is not asked whether it made them.
 */
import { spawnSync } from "node:child_process";
import { listLinks } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { runNft } from "#kernel/network/nftables.ts";
import { targetsOf } from "#network/attachments.ts";
import { bridged } from "#network/drivers/bridge-driver.ts";
import type { Networks } from "#network/networks.ts";
import { gatewayOrder } from "#network/records/endpoint-settings.ts";
import type { SandboxRecord } from "#network/records/sandbox-table.ts";
import { addNetwork, addPorts } from "#network/rules/ruleset.ts";
import type { Endpoint, NetworkRecord } from "#spec/network.ts";

export interface Walker {
  readonly table: string;
  readonly ids: readonly string[];
  readonly networks: Networks;
}

type Find = (what: string, is: readonly string[], should: readonly string[]) => void;

/** Of all engines of this network namespace together. */
export function differences(walkers: readonly Walker[]): string[] {
  const { found, same } = comparison();
  compareHost(walkers, same);
  compareNeighbours(walkers, same);
  for (const walker of walkers) {
    compareTables(walker, same);
    for (const sandbox of sandboxesOf(walker)) compareInside(sandbox, same);
  }
  return found;
}

/** Of those alone who bridges and the host remember. */
export function neighbourDifferences(walkers: readonly Walker[]): string[] {
  const { found, same } = comparison();
  compareNeighbours(walkers, same);
  return found;
}

function comparison(): { readonly found: string[]; readonly same: Find } {
  const found: string[] = [];
  const same: Find = (what, is, should) => {
    const [missing, odd] = [without(should, is), without(is, should)];
    if (missing.length > 0) found.push(`${what}: missing ${missing.join(", ")}`);
    if (odd.length > 0) found.push(`${what}: nobody's ${odd.join(", ")}`);
  };
  return { found, same };
}

/** As multisets. */
function without(all: readonly string[], taken: readonly string[]): string[] {
  const rest = [...taken];
  return all.filter((each) => {
    const at = rest.indexOf(each);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

export function sandboxesOf({ ids, networks }: Walker): SandboxRecord[] {
  return ids.flatMap((id) => (networks.sandbox(id) as SandboxRecord | undefined) ?? []);
}

/** Bridges with their addresses, stand-ins, and the ends of pairs on the right bridge. */
function compareHost(walkers: readonly Walker[], same: Find): void {
  using netlink = new Netlink();
  const links = listLinks(netlink);
  const nameOf = (index: number | undefined) => links.find((each) => each.index === index)?.name ?? "";
  const records = walkers.flatMap(({ networks }) => networks.list());
  const ends = walkers
    .flatMap((walker) => sandboxesOf(walker).map((sandbox) => ({ walker, sandbox })))
    .flatMap(({ sandbox, walker }) =>
      sandbox.endpoints
        .filter(({ hostInterface }) => hostInterface !== "")
        .map((each) => `${each.hostInterface} on ${walker.networks.get(each.networkId).device}`),
    );
  same(
    "pairs",
    links
      .filter(({ name }) => name.startsWith("wv"))
      .map(({ master, name }) => `${name} on ${nameOf(master)}`),
    ends,
  );
  same(
    "devices",
    links.map(({ name }) => name).filter((name) => /^(?:wh|d[mp]-)/.test(name)),
    records
      .flatMap(({ device }) => (device.startsWith("dm-") ? [device, `dp-${device.slice(3)}`] : [device]))
      .filter(Boolean),
  );
  const bridges = records.filter(({ driver }) => driver === "bridge");
  const own = new Set(bridges.map(({ device }) => device));
  same(
    "addresses of bridges",
    addressesHere().filter((each) => own.has(each.split(" ")[0] ?? "")),
    bridges.flatMap(bridgeAddresses),
  );
}

/**
 * What bridges and the host remember of who is where: every address of hardware behind a port of a bridge is its container's, and
 * no address leads to hardware that somebody else has.
 */
function compareNeighbours(walkers: readonly Walker[], same: Find): void {
  const bridges = walkers
    .flatMap(({ networks }) => networks.list().filter(({ driver }) => driver === "bridge"))
    .map(({ device }) => device);
  const endpoints = walkers
    .flatMap((walker) => sandboxesOf(walker))
    .flatMap(({ endpoints }) => endpoints.filter(({ hostInterface }) => hostInterface !== ""));
  const macAt = (port: string) => endpoints.find((each) => each.hostInterface === port)?.macAddress;
  const learned = bridges
    .flatMap((device) => listed("bridge", "fdb", "show", "br", device))
    // Those of the ends on the host are the kernel's own, and there as long as these are.
    .filter(({ state }) => state !== "permanent");
  same(
    "who is behind a port of a bridge",
    learned.map(({ ifname = "", mac = "" }) => `${mac} at ${ifname}`),
    learned.map(({ ifname = "" }) => `${macAt(ifname)} at ${ifname}`),
  );
  const known = listed("ip", "neigh").filter(
    ({ dev = "", dst = "", lladdr }) =>
      bridges.includes(dev) && lladdr !== undefined && !dst.startsWith("fe80:") && !dst.startsWith("ff02:"),
  );
  const macOf = (address: string) =>
    endpoints.find((each) => each.ipAddress === address || each.ip6Address === address)?.macAddress;
  same(
    "who has an address",
    known.map(({ dst = "", lladdr = "" }) => `${dst} is ${lladdr}`),
    known.map(({ dst = "", lladdr = "" }) => `${dst} is ${macOf(dst) ?? lladdr}`),
  );
}

/** Addresses whose hardware the host remembers. */
export function knownNeighbours(): Set<string> {
  return new Set(listed("ip", "neigh").flatMap(({ dst, lladdr }) => (dst && lladdr ? [dst] : [])));
}

function bridgeAddresses({ device, pools }: NetworkRecord): string[] {
  return pools.map(({ gateway, subnet }) => `${device} ${gateway}/${subnet.split("/")[1]}`);
}

/** Interfaces, addresses and ways out in a container's namespace. */
function compareInside({ containerName, endpoints, netnsPath = "" }: SandboxRecord, same: Find): void {
  const where = `in ${containerName}`;
  const seen = inNamespace(netnsPath, () => ({
    addresses: addressesHere(),
    links: ip("link").map(({ ifname = "" }) => ifname),
    routes: [...ip("-4", "route", "show", "default"), ...ip("-6", "route", "show", "default")].map(
      ({ dev = "", gateway = "" }) => `${dev} ${gateway}`,
    ),
  }));
  same(`interfaces ${where}`, seen.links, ["lo", ...endpoints.map(({ interfaceName }) => interfaceName)]);
  same(`addresses ${where}`, seen.addresses, endpoints.flatMap(endpointAddresses));
  same(
    `ways out ${where}`,
    seen.routes,
    ([4, 6] as const).flatMap((family) => {
      const [first] = gatewayOrder(endpoints, family);
      const gateway = family === 4 ? first?.gateway : first?.gateway6;
      return gateway ? [`${first?.interfaceName} ${gateway}`] : [];
    }),
  );
}

function endpointAddresses(each: Endpoint): string[] {
  const { interfaceName, ip6Address, ipAddress, prefixLength, prefixLength6 } = each;
  return [
    ...(ipAddress === "" ? [] : [`${interfaceName} ${ipAddress}/${prefixLength}`]),
    ...(ip6Address === "" ? [] : [`${interfaceName} ${ip6Address}/${prefixLength6}`]),
  ];
}

interface IpEntry {
  readonly ifname?: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly mac?: string;
  /** One of an entry of a bridge, several of a neighbour. */
  readonly state?: string | readonly string[];
  readonly dst?: string;
  readonly lladdr?: string;
  readonly addr_info?: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly scope: string;
  }[];
}

function ip(...words: string[]): IpEntry[] {
  return listed("ip", ...words);
}

function listed(program: "ip" | "bridge", ...words: string[]): IpEntry[] {
  const { stdout } = spawnSync(program, ["-j", ...words], { encoding: "utf8" });
  return stdout.trim() === "" ? [] : (JSON.parse(stdout) as IpEntry[]);
}

/** `eth0 10.0.0.2/24`, those of the link and of the host itself left out. */
function addressesHere(): string[] {
  return ip("addr").flatMap(({ addr_info = [], ifname = "" }) =>
    addr_info
      .filter(({ scope }) => scope === "global")
      .map(({ local, prefixlen }) => `${ifname} ${local}/${prefixlen}`),
  );
}

/** Elements of every set and map that networks and ports make. */
function compareTables(walker: Walker, same: Find): void {
  const { networks, table } = walker;
  const bridges = networks.list().filter(({ driver }) => driver === "bridge");
  const commands = [
    ...bridges.map((network) => addNetwork("t", bridged(network))),
    ...sandboxesOf(walker).map((sandbox) => addPorts("t", targetsOf(sandbox))),
  ].join("");
  // Ports of a routed network that differ only on the host are one element.
  const should = new Set(
    [...commands.matchAll(/^add element inet t (\w+) \{ (.*) \}$/gm)].map(
      ([, set = "", element = ""]) => `${set} ${element}`,
    ),
  );
  for (const name of [table, `${table}-held`])
    same(`elements of ${name}`, elementsOf(runNft(`list table inet ${name}`)), [...should]);
}

function elementsOf(listing: string): string[] {
  const sets = listing.matchAll(/\b(?:set|map) (\w+) \{[^{}]*?(?:elements = \{([^}]*)\}[^{}]*)?\}/g);
  return [...sets].flatMap(([, set = "", elements = ""]) =>
    elements
      .split(",")
      .map((each) => each.trim().replaceAll(/\s+/g, " "))
      .filter((each) => each !== "")
      .map((each) => `${set} ${each}`),
  );
}
