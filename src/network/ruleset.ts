/**
 * Pure. The engine's one nftables table, as commands for `nft`.
 * Published ports are elements of two maps, so a port more or less changes no rule: `any` for those on every address of
 * the host, `one` for those on a single one.
 */
import type { PublishedPort } from "#spec/network.ts";

export interface RulesetInput {
  readonly table: string;
  readonly bridge: string;
  /** `172.17.0.0/16`. */
  readonly subnet: string;
  readonly published: readonly PublishedTarget[];
}

export interface PublishedTarget {
  readonly port: PublishedPort;
  readonly address: string;
}

/** Replaces the whole table, in one step, whatever it was before. */
export function replaceTable(o: RulesetInput): string {
  const { table, bridge, subnet } = o;
  return `table ip ${table}
delete table ip ${table}
table ip ${table} {
  map any { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map one { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }
  chain publish {
    fib daddr type != local return
    dnat to meta l4proto . ip daddr . th dport map @one
    dnat to meta l4proto . th dport map @any
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump publish
  }
  chain output {
    type nat hook output priority -100; policy accept;
    jump publish
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "${bridge}" ip saddr 127.0.0.0/8 masquerade
    oifname "${bridge}" ip saddr ${subnet} ct status dnat masquerade
    oifname != "${bridge}" ip saddr ${subnet} masquerade
  }
  chain guard {
    type filter hook prerouting priority raw; policy accept;
    iifname "${bridge}" ip daddr 127.0.0.0/8 drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "${bridge}" accept
    oifname "${bridge}" ct state established,related accept
    oifname "${bridge}" ct status dnat accept
    oifname "${bridge}" drop
  }
}
${addPorts(table, o.published)}`;
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
