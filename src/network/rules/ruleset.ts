/**
 * Pure. The engine's one nftables table, as commands for `nft`.
 * Networks are elements of sets and published ports elements of maps, so neither a network nor a port more or less changes
 * a rule: `any` holds ports on every address of the host, `one` those on a single one, `open` those of containers that are
 * reached at their own address, `relayedany` and `relayedone` those that a relay on this host leads to them. Sets of IPv6 have
 * the same names with a 6.
 */
import { type Family, families, familyOf, isAnywhere } from "#spec/ip.ts";
import type { PublishedPort } from "#spec/network.ts";

/** A network carried by a bridge. */
export interface BridgedNetwork {
  readonly bridge: string;
  readonly internal: boolean;
  /** Interfaces of the host from which containers may be reached at their own addresses. */
  readonly trusted: readonly string[];
  readonly places: readonly NetworkPlace[];
}

/** A network in one family. */
export interface NetworkPlace {
  /** `172.17.0.0/16`. */
  readonly subnet: string;
  readonly mode: GatewayMode;
  readonly masquerade: boolean;
  /** What its containers appear as outside, in place of the address of the interface they leave by. */
  readonly source?: string | undefined;
}

/**
 * `nat`: containers are reached by ports of the host; `nat-unprotected`: also at their own addresses; `routed`: at their
 * own addresses, at ports that are published; `isolated`: the host has no address there.
 */
export type GatewayMode = "nat" | "nat-unprotected" | "routed" | "isolated";

export interface RulesetInput {
  readonly table: string;
  /** Only the program that made the table may change it, and it goes with that program (nft(8), `flags owner`). */
  readonly owned?: boolean | undefined;
  /** TCP ports of this host that containers must not reach: the engine's own. */
  readonly barred: readonly number[];
  /** Families the rules speak of; the others' packets pass. */
  readonly families: readonly Family[];
  readonly networks: readonly BridgedNetwork[];
  readonly published: readonly PublishedTarget[];
}

export interface PublishedTarget {
  readonly port: PublishedPort;
  readonly address: string;
}

/** Words of one family. */
const words = {
  4: { ip: "ip", suffix: "", address: "ipv4_addr", nfproto: "ipv4", icmp: 1 },
  6: { ip: "ip6", suffix: "6", address: "ipv6_addr", nfproto: "ipv6", icmp: 58 },
} as const;

/**
 * Replaces the whole table, in one step, whatever it was before.
 * Networks are closed to one another and to the outside but for published ports; internal ones to everything else.
 */
export function replaceTable(o: RulesetInput): string {
  const { barred, families: spoken, networks, owned, published, table } = o;
  const each = (lines: (family: Family) => string) => spoken.map(lines).join("\n    ");
  const flags = owned === true ? "flags owner;" : "";
  return `table inet ${table} { ${flags} }
delete table inet ${table}
table inet ${table} {
  ${flags}
  set bridges { type ifname; }
  set barred { type inet_service; }
  set relayedany { type inet_proto . inet_service; }
  set relayedone { type inet_proto . ipv6_addr . inet_service; }
  set same { type ifname . ifname; }
  set internal { type ifname; }
  set trusted { type ifname . ifname; }
${families.map(setsOf).join("")}
  chain publish {
    fib daddr type != local return
    ip6 daddr ::1 return
    ${each(publishRules)}
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 return
    jump publish
  }
  chain output {
    type nat hook output priority -100; policy accept;
    jump publish
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
    ${each(hairpinRule)}
    oifname @bridges return
    ${each(sourceRules)}
  }
  chain guard {
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges ip daddr 127.0.0.0/8 drop
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname @bridges tcp dport @barred drop
    iifname @internal meta l4proto . ip6 daddr . th dport @relayedone drop
    meta nfproto ipv6 iifname @internal meta l4proto . th dport @relayedany drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ${passOthers(spoken)}iifname . oifname @same accept
    iifname @internal drop
    oifname @internal drop
    oifname @bridges ct state established,related accept
    oifname @bridges ct status dnat accept
    iifname . oifname @trusted accept
    ${each(openRules)}
    oifname @bridges drop
  }
}
${networks.map((network) => addNetwork(table, network)).join("")}${addPorts(table, published)}${barPorts(table, barred)}`;
}

export function barPorts(table: string, ports: readonly number[]): string {
  return ports.map((port) => `add element inet ${table} barred { ${port} }\n`).join("");
}

function setsOf(family: Family): string {
  const { suffix, address } = words[family];
  return `  map any${suffix} { type inet_proto . inet_service : ${address} . inet_service; }
  map one${suffix} { type inet_proto . ${address} . inet_service : ${address} . inet_service; }
  set open${suffix} { type inet_proto . ${address} . inet_service; }
  set home${suffix} { type ${address} . ifname; flags interval; }
  set unprotected${suffix} { type ifname; }
  set routed${suffix} { type ifname; }
  set masqueraded${suffix} { type ifname; }
  map sources${suffix} { type ifname : ${address}; }
`;
}

function publishRules(family: Family): string {
  const { ip, suffix, nfproto } = words[family];
  return `dnat ${ip} to meta l4proto . ${ip} daddr . th dport map @one${suffix}
    meta nfproto ${nfproto} dnat ${ip} to meta l4proto . th dport map @any${suffix}`;
}

/** Answers to a container that asked by way of the host must come back the same way. */
function hairpinRule(family: Family): string {
  const { ip, suffix } = words[family];
  return `${ip} saddr . oifname @home${suffix} ct status dnat masquerade`;
}

function sourceRules(family: Family): string {
  const { ip, suffix, nfproto } = words[family];
  return `meta nfproto ${nfproto} snat ${ip} to iifname map @sources${suffix}
    meta nfproto ${nfproto} iifname @masqueraded${suffix} masquerade`;
}

function openRules(family: Family): string {
  const { ip, suffix, nfproto, icmp } = words[family];
  return `meta l4proto . ${ip} daddr . th dport @open${suffix} accept
    meta l4proto ${icmp} oifname @routed${suffix} accept
    meta nfproto ${nfproto} oifname @unprotected${suffix} accept`;
}

function passOthers(spoken: readonly Family[]): string {
  return families
    .filter((family) => !spoken.includes(family))
    .map((family) => `meta nfproto ${words[family].nfproto} accept\n    `)
    .join("");
}

export function addNetwork(table: string, network: BridgedNetwork): string {
  return membership(network)
    .map(({ set, element }) => `add element inet ${table} ${set} { ${element} }\n`)
    .join("");
}

export function deleteNetwork(table: string, network: BridgedNetwork): string {
  return membership(network)
    .map(({ set, element }) => `delete element inet ${table} ${set} { ${element.split(" : ", 1)[0]} }\n`)
    .join("");
}

interface Membership {
  readonly set: string;
  readonly element: string;
}

function membership(network: BridgedNetwork): Membership[] {
  const { bridge, internal, places, trusted } = network;
  const name = `"${bridge}"`;
  return [
    { set: "bridges", element: name },
    { set: "same", element: `${name} . ${name}` },
    ...(internal ? [{ set: "internal", element: name }] : []),
    ...trusted.map((from) => ({ set: "trusted", element: `"${from}" . ${name}` })),
    ...places.flatMap((place) => placeMembership(name, internal, place)),
  ];
}

function placeMembership(name: string, internal: boolean, place: NetworkPlace): Membership[] {
  const { subnet, mode, masquerade, source } = place;
  const { suffix } = words[familyOf(subnet)];
  const nat = mode === "nat" || mode === "nat-unprotected";
  const leaves = masquerade && !internal && nat;
  return [
    // By address: where bridges are filtered like routers, nobody says which interface a packet came in by.
    { set: `home${suffix}`, element: `${subnet} . ${name}` },
    ...(mode === "routed" ? [{ set: `routed${suffix}`, element: name }] : []),
    ...(mode === "nat-unprotected" ? [{ set: `unprotected${suffix}`, element: name }] : []),
    ...(leaves && source !== undefined ? [{ set: `sources${suffix}`, element: `${name} : ${source}` }] : []),
    ...(leaves && source === undefined ? [{ set: `masqueraded${suffix}`, element: name }] : []),
  ];
}

export function addPorts(table: string, published: readonly PublishedTarget[]): string {
  return published
    .map((target) => {
      const { set, key, value } = place(target);
      return `add element inet ${table} ${set} { ${key}${value} }\n`;
    })
    .join("");
}

export function deletePorts(table: string, published: readonly PublishedTarget[]): string {
  return published
    .map((target) => {
      const { set, key } = place(target);
      return `delete element inet ${table} ${set} { ${key} }\n`;
    })
    .join("");
}

/** Elements that must be there, by set, as nft's `get element` asks for one; of sets without ranges. */
export function plainElements(o: Pick<RulesetInput, "networks" | "published">): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const add = (set: string, key: string): void => void found.set(set, [...(found.get(set) ?? []), key]);
  for (const network of o.networks)
    for (const { set, element } of membership(network))
      if (["bridges", "same", "internal"].includes(set)) add(set, element);
  for (const target of o.published) {
    const { set, key } = place(target);
    add(set, key);
  }
  return found;
}

function place({ port, address }: PublishedTarget): { set: string; key: string; value: string } {
  const { protocol, hostIp, hostPort, containerPort } = port;
  const { suffix } = words[familyOf(address)];
  const value = ` : ${address} . ${containerPort}`;
  if (hostPort === 0)
    return { set: `open${suffix}`, key: `${protocol} . ${address} . ${containerPort}`, value: "" };
  if (familyOf(hostIp) !== familyOf(address))
    return isAnywhere(hostIp)
      ? { set: "relayedany", key: `${protocol} . ${hostPort}`, value: "" }
      : { set: "relayedone", key: `${protocol} . ${hostIp} . ${hostPort}`, value: "" };
  return isAnywhere(hostIp)
    ? { set: `any${suffix}`, key: `${protocol} . ${hostPort}`, value }
    : { set: `one${suffix}`, key: `${protocol} . ${hostIp} . ${hostPort}`, value };
}
