/**
 * Pure. The engine's one nftables table, as commands for `nft`.
 * Networks are elements of sets and published ports elements of maps, so neither a network nor a port more or less changes
 * a rule: `any` holds ports on every address of the host, `one` those on a single one.
 */
import type { PublishedPort } from "#spec/network.ts";

/** A network carried by a bridge. */
export interface BridgedNetwork {
  readonly bridge: string;
  /** `172.17.0.0/16`. */
  readonly subnet: string;
  readonly internal: boolean;
  readonly masquerade: boolean;
  /** What its containers appear as outside, in place of the address of the interface they leave by. */
  readonly source?: string | undefined;
}

export interface RulesetInput {
  readonly table: string;
  /** Only the program that made the table may change it, and it goes with that program (nft(8), `flags owner`). */
  readonly owned?: boolean | undefined;
  /** TCP ports of this host that containers must not reach: the engine's own. */
  readonly barred: readonly number[];
  readonly networks: readonly BridgedNetwork[];
  readonly published: readonly PublishedTarget[];
}

export interface PublishedTarget {
  readonly port: PublishedPort;
  readonly address: string;
}

/**
 * Replaces the whole table, in one step, whatever it was before.
 * Networks are closed to one another and to the outside but for published ports; internal ones to everything else.
 */
export function replaceTable({ table, owned, barred, networks, published }: RulesetInput): string {
  const flags = owned === true ? "flags owner;" : "";
  return `table ip ${table} { ${flags} }
delete table ip ${table}
table ip ${table} {
  ${flags}
  map any { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map one { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }
  set bridges { type ifname; }
  set barred { type inet_service; }
  set same { type ifname . ifname; }
  set home { type ipv4_addr . ifname; flags interval; }
  set internal { type ifname; }
  set masqueraded { type ifname; }
  map sources { type ifname : ipv4_addr; }
  chain publish {
    fib daddr type != local return
    dnat to meta l4proto . ip daddr . th dport map @one
    dnat to meta l4proto . th dport map @any
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
    ip saddr . oifname @home ct status dnat masquerade
    oifname @bridges return
    snat to iifname map @sources
    iifname @masqueraded masquerade
  }
  chain guard {
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges ip daddr 127.0.0.0/8 drop
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname @bridges tcp dport @barred drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname . oifname @same accept
    iifname @internal drop
    oifname @internal drop
    oifname @bridges ct state established,related accept
    oifname @bridges ct status dnat accept
    oifname @bridges drop
  }
}
${networks.map((network) => addNetwork(table, network)).join("")}${addPorts(table, published)}${barPorts(table, barred)}`;
}

export function barPorts(table: string, ports: readonly number[]): string {
  return ports.map((port) => `add element ip ${table} barred { ${port} }\n`).join("");
}

export function addNetwork(table: string, network: BridgedNetwork): string {
  return membership(network)
    .map(({ set, element }) => `add element ip ${table} ${set} { ${element} }\n`)
    .join("");
}

export function deleteNetwork(table: string, network: BridgedNetwork): string {
  return membership(network)
    .map(({ set, element }) => `delete element ip ${table} ${set} { ${element.split(" : ", 1)[0]} }\n`)
    .join("");
}

function membership({ bridge, subnet, internal, masquerade, source }: BridgedNetwork): {
  set: string;
  element: string;
}[] {
  const name = `"${bridge}"`;
  const leaves = masquerade && !internal;
  return [
    { set: "bridges", element: name },
    { set: "same", element: `${name} . ${name}` },
    // By address: where bridges are filtered like routers, nobody says which interface a packet came in by.
    { set: "home", element: `${subnet} . ${name}` },
    ...(internal ? [{ set: "internal", element: name }] : []),
    ...(leaves && source !== undefined ? [{ set: "sources", element: `${name} : ${source}` }] : []),
    ...(leaves && source === undefined ? [{ set: "masqueraded", element: name }] : []),
  ];
}

export function addPorts(table: string, published: readonly PublishedTarget[]): string {
  return published
    .map(({ port, address }) => {
      const { map, key } = place(port);
      return `add element ip ${table} ${map} { ${key} : ${address} . ${port.containerPort} }\n`;
    })
    .join("");
}

export function deletePorts(table: string, ports: readonly PublishedPort[]): string {
  return ports
    .map((port) => {
      const { map, key } = place(port);
      return `delete element ip ${table} ${map} { ${key} }\n`;
    })
    .join("");
}

function place({ protocol, hostIp, hostPort }: PublishedPort): { map: string; key: string } {
  return hostIp === "0.0.0.0"
    ? { map: "any", key: `${protocol} . ${hostPort}` }
    : { map: "one", key: `${protocol} . ${hostIp} . ${hostPort}` };
}
