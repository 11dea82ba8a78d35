/**
 * Pure. What the host's own filter says of connections to this host (ufw, firewalld, iptables-nft, plain nftables), as rules
 * for published ports: to whoever set that filter up a published port is a service of the host, but packets to it are
 * forwarded and never come by the host's input rules. Written from the text of `nft -s list ruleset`, rule by rule.
 */

import { foreignTables, type HostTable, type RulesBlock } from "./ruleset-text.ts";

/** A rule that cannot be applied to published ports. Left out: what it would have accepted stays closed. */
export interface OmittedRule {
  /** `inet filter input`. */
  readonly chain: string;
  readonly rule: string;
}

export interface HostFilter {
  /** Chains and sets for a table of family `inet` that has a set `bridges` of interface names. */
  readonly body: string;
  readonly omitted: readonly OmittedRule[];
}

/** @returns undefined where the host filters nothing that comes to it. `engines` is how names of engines' tables begin. */
export function mirrorInput(ruleset: string, engines: string): HostFilter | undefined {
  const omitted: OmittedRule[] = [];
  const bodies = foreignTables(ruleset, engines).map((table, index) =>
    mirrorTable(table, `t${index}_`, omitted),
  );
  const body = bodies.join("");
  return body === "" ? undefined : { body, omitted };
}

const jump = /\b(?:jump|goto) ([^\s,}]+)/g;
const hookLine = /^type filter hook input priority ([^;]+); policy (\w+);/;

function mirrorTable(table: HostTable, prefix: string, omitted: OmittedRule[]): string {
  const chains = table.blocks.filter(({ kind }) => kind === "chain");
  const bases = chains.filter(({ lines }) => lines.some((line) => hookLine.test(line)));
  if (bases.length === 0) return "";
  const text: string[] = [];
  const sets = new Set<string>();
  const seen = new Set<string>();
  const waiting = [...bases];
  for (let chain = waiting.pop(); chain !== undefined; chain = waiting.pop()) {
    if (seen.has(chain.name)) continue;
    seen.add(chain.name);
    const where = `${table.family} ${table.name} ${chain.name}`;
    const rules = chain.lines.flatMap(
      (line) => rewrite(line, table.family, prefix) ?? omit(omitted, where, line),
    );
    for (const rule of rules) for (const [, name = ""] of rule.matchAll(/@t\d+_(\w+)/g)) sets.add(name);
    const maps = table.blocks.filter(({ kind, name }) => kind === "map" && sets.has(name));
    for (const line of [chain, ...maps].flatMap(({ lines }) => lines))
      for (const [, name] of line.matchAll(jump))
        waiting.push(...chains.filter((each) => each.name === name));
    text.unshift(`  chain ${prefix}${chain.name} {\n${rules.map((rule) => `    ${rule}\n`).join("")}  }\n`);
  }
  const kept = table.blocks.filter(({ kind, name }) => kind !== "chain" && sets.has(name));
  const declared = kept.map(
    (set) => `  ${set.kind} ${prefix}${set.name} {\n    ${setLines(set, prefix)}\n  }\n`,
  );
  // All names first: a rule may lead to a chain that comes later.
  const names = [...seen].map((name) => `  chain ${prefix}${name} {\n  }\n`);
  return [...names, ...declared, ...text, ...bases.map((base) => hook(base, table.family, prefix))].join("");
}

function setLines({ lines }: RulesBlock, prefix: string): string {
  return lines
    .join("\n    ")
    .replaceAll(/ counter packets \d+ bytes \d+/g, "")
    .replaceAll(jump, (word, name: string) => word.replace(name, prefix + name));
}

/** Each of the host's base chains decides for itself, as among its own. */
function hook({ name, lines }: RulesBlock, family: string, prefix: string): string {
  const [, priority = "filter", policy = "accept"] =
    lines.map((line) => hookLine.exec(line)).find(Boolean) ?? [];
  // A chain of one family says nothing of the other's packets.
  const spoken = ofFamily(family).map((match) => `${match} `);
  const published = `${spoken.join("")}oifname @bridges ct direction original ct status dnat`;
  return `  chain ${prefix}hook_${name} {
    type filter hook forward priority ${priority}; policy accept;
    ct state established accept
    ${published} jump ${prefix}${name}
    ${policy === "drop" ? `${published} drop` : ""}
  }
`;
}

/** What only makes sense where it stands, or changes something. */
const untranslatable =
  /\bxt (?:match|target)\b|# xt_|\b(?:meta sk[ug]id|socket|tproxy|notrack|queue|synproxy|dup|fwd|meter)\b|\b(?:limit|counter|quota) name\b|\bquota\b|\b(?:add|update|delete) @|\bct (?:helper|zone|timeout|expectation)\b|\bset\b (?!\{)/;
/** Of protocols without ports. */
const portless =
  /\b(?:meta l4proto|ip protocol|ip6 nexthdr) (?:icmp|ipv6-icmp|igmp|esp|ah|ipcomp|gre)\b|\bicmp(?:v6)? (?:type|code)\b/;
const hasEffect = /\b(?:accept|drop|reject|return|jump|goto|vmap)\b/;

/** @returns The rule as it is applied to published ports; undefined when it cannot be. */
function rewrite(line: string, family: string, prefix: string): string[] | undefined {
  if (line.startsWith("type ") || line.startsWith("comment ") || line === "") return [];
  const bare = line
    .replaceAll(/\s*comment "[^"]*"/g, "")
    .replaceAll(
      /(?<=^|\s)log(?=\s|$)(?: (?:prefix "[^"]*"|level \w+|flags [a-z]+(?: [a-z]+)?(?=,| |$)|group \d+|snaplen \d+|queue-threshold \d+))*/g,
      "",
    )
    .replaceAll(/(?<=^|\s)counter(?=\s|$)(?: packets \d+ bytes \d+)?(?! name)/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();
  // What chains are called says nothing.
  const nameless = bare.replaceAll(jump, "jump");
  if (!hasEffect.test(nameless) || portless.test(nameless)) return [];
  if (untranslatable.test(nameless)) return undefined;
  // To whoever wrote the rule a published port is no translated one: it is the engine that translates.
  if (/\bct status (?:dnat\b|\{[^}]*\bdnat\b)/.test(nameless)) return [];
  // It was an address of this host: what leads elsewhere is no published port.
  if (/\bfib daddr(?: \. iif)? type != local\b/.test(bare)) return [];
  const protocols = [...bare.matchAll(/\b(tcp|udp|sctp|dccp|udplite) dport\b/g)].map((match) => match[1]);
  const only = [...ofFamily(family), ...(protocols[0] === undefined ? [] : [`meta l4proto ${protocols[0]}`])];
  const rewritten = bare
    .replaceAll(/\bfib daddr(?: \. iif)? type local\b|\bct status (?:!=? )dnat\b/g, "")
    .replaceAll(/\b(?:tcp|udp|sctp|dccp|udplite|th) dport\b/g, "ct original proto-dst")
    .replaceAll(/\b(ip6?) daddr\b/g, "ct original $1 daddr")
    .replaceAll(/@(\w+)/g, `@${prefix}$1`)
    .replaceAll(jump, (word, name: string) => word.replace(name, prefix + name));
  return [[...only, rewritten.trim()].join(" ")];
}

function ofFamily(family: string): string[] {
  return family === "inet" ? [] : [`meta nfproto ${family === "ip" ? "ipv4" : "ipv6"}`];
}

function omit(omitted: OmittedRule[], chain: string, rule: string): string[] {
  omitted.push({ chain, rule });
  return [];
}

/** The table that puts it into force, in place of the one before. Without a filter nothing is left of it. */
export function hostFilterTable(
  table: string,
  filter: { readonly body: string } | undefined,
  bridges: readonly string[],
): string {
  const gone = `table inet ${table}\ndelete table inet ${table}\n`;
  if (filter === undefined || bridges.length === 0) return gone;
  const elements = bridges.map((each) => JSON.stringify(each)).join(", ");
  return `${gone}table inet ${table} {\n  set bridges {\n    type ifname\n    elements = { ${elements} }\n  }\n${filter.body}}\n`;
}

/** Base chains of others that drop what is forwarded unless a rule says otherwise: `table ip filter, chain FORWARD`. */
export function forwardDrops(ruleset: string, engines: string): string[] {
  return foreignTables(ruleset, engines).flatMap(({ family, name, blocks }) =>
    blocks
      .filter(({ lines }) => lines.some((line) => /^type filter hook forward .*; policy drop;/.test(line)))
      .map((chain) => `table ${family} ${name}, chain ${chain.name}`),
  );
}

/** When the host's rules cannot be applied at all: nothing that is published is open from outside. */
export const closedFilter = {
  body: `  chain closed {
    type filter hook forward priority filter; policy accept;
    ct state established accept
    iifname != @bridges oifname @bridges ct direction original ct status dnat drop
  }
`,
};
