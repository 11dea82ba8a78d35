/** Pure. The text of `nft list ruleset`, taken apart as far as its lines go. */

export interface RulesBlock {
  readonly kind: "set" | "map" | "chain";
  readonly name: string;
  /** Without the space before them. */
  readonly lines: readonly string[];
}

export interface HostTable {
  readonly family: string;
  readonly name: string;
  readonly blocks: readonly RulesBlock[];
}

const families = ["ip", "ip6", "inet"];

/** Tables about packets of IP that are no engine's: `engines` is how the names of those begin. */
export function foreignTables(text: string, engines: string): HostTable[] {
  const tables: { family: string; name: string; blocks: RulesBlock[] }[] = [];
  let lines: string[] | undefined;
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    const table = /^table (\S+) (\S+) \{/.exec(line);
    const opened = /^\t(set|map|chain) (\S+) \{/.exec(raw);
    if (table !== null) tables.push({ family: table[1] ?? "", name: table[2] ?? "", blocks: [] });
    else if (opened !== null) {
      lines = [];
      const kind = opened[1] === "chain" ? "chain" : opened[1] === "map" ? "map" : "set";
      tables.at(-1)?.blocks.push({ kind, name: opened[2] ?? "", lines });
    } else if (/^\t\}/.test(raw)) lines = undefined;
    else if (line !== "") lines?.push(line);
  }
  return tables.filter(({ family, name }) => families.includes(family) && !name.startsWith(engines));
}
