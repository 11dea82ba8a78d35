/**
 * Pure. Docker's way past the host's own filter: rules in front of everyone else's for forwarded packets that let through what
 * passes by a bridge of the engine, known again by their comment.
 */
import { foreignTables } from "./ruleset-text.ts";

export interface BypassInput {
  /** With handles (`nft -a list ruleset`). */
  readonly ruleset: string;
  /** How names of engines' tables begin. */
  readonly engines: string;
  readonly comment: string;
  /** Names of bridges, or their beginning and `*`. None: the way is closed again. */
  readonly bridges: readonly string[];
}

/** @returns Commands for `nft` that add what is missing and take away what is too much; empty when all is as it should be. */
export function bypass({ ruleset, engines, comment, bridges }: BypassInput): string {
  const wanted = bridges.flatMap((bridge) => ["iifname", "oifname"].map((key) => `${key} "${bridge}"`));
  const commands = foreignTables(ruleset, engines).flatMap(({ family, name: table, blocks }) =>
    blocks.flatMap(({ name, kind, lines }) => {
      if (kind !== "chain") return [];
      const where = `${family} ${table} ${name}`;
      const ours = lines.filter((line) => line.includes(` comment "${comment}" `));
      const matches = ours.map((line) => /^[io]ifname "[^"]*"/.exec(line)?.[0] ?? "");
      const gone = ours
        .filter((_, index) => !wanted.includes(matches[index] ?? ""))
        .map((line) => `delete rule ${where} handle ${/# handle (\d+)$/.exec(line)?.[1]}\n`);
      if (!lines.some((line) => line.startsWith("type filter hook forward "))) return gone;
      const missing = wanted.filter((match) => !matches.includes(match));
      return [
        ...gone,
        ...missing.map((match) => `insert rule ${where} ${match} accept comment "${comment}"\n`),
      ];
    }),
  );
  return commands.join("");
}
