/**
 * What `--help` prints, laid out as the docker CLI does.
 * Pure.
 */

import { commandGroups, commandsOf, commandTable, namesOf, subgroupsOf } from "./command-table.ts";
import type { Command } from "./flags/command.ts";
import type { FlagSpec } from "./flags/flags.ts";

export const program = "wherry";
/** In characters, where no terminal says otherwise. */
const defaultWidth = 80;
/** Narrower than this, a flag's text goes below the flag. */
const textWidthMin = 24;
/** A last word this much longer is not worth a line of its own. */
const slop = 5;

const common = "run exec ps build pull push images login logout search version info".split(" ");

export function overview(globalFlags: readonly FlagSpec[], width = defaultWidth): string {
  const names = Object.keys(commandTable).filter((name) => !name.includes(" "));
  const groups = Object.keys(commandGroups).filter((name) => !name.includes(" "));
  const summaries = (of: readonly string[]) =>
    of.flatMap((name): [string, string][] => {
      const summary = commandTable[name]?.summary ?? commandGroups[name];
      return summary === undefined ? [] : [[name, summary]];
    });
  const others = names.filter((name) => !common.includes(name)).sort();
  return [
    `Usage:  ${program} [OPTIONS] COMMAND`,
    "Containers: build them, run them, look inside.",
    section("Common Commands", summaries(common)),
    section("Management Commands", summaries(groups.sort())),
    section("Commands", summaries(others)),
    `Global Options:\n${describeFlags(globalFlags, width)}`,
    `Run '${program} COMMAND --help' for more information on a command.\n`,
  ].join("\n\n");
}

export function groupHelp(group: string): string {
  const own = commandsOf(group).map(({ verb, entry }): [string, string] => [verb, entry.summary]);
  const verbs = [...own, ...subgroupsOf(group)].sort(([left], [right]) => (left < right ? -1 : 1));
  return [
    `Usage:  ${program} ${group} COMMAND`,
    commandGroups[group] ?? "",
    section("Commands", verbs),
    `Run '${program} ${group} COMMAND --help' for more information on a command.\n`,
  ].join("\n\n");
}

/** `called` is how the user called it: `container ls`. */
export function commandHelp(
  command: Command,
  name: string,
  called: string = name,
  width = defaultWidth,
): string {
  const names = namesOf(name);
  return [
    usageLine(command, called),
    commandTable[name]?.summary ?? "",
    ...(names.length > 1 ? [`Aliases:\n  ${names.map((each) => `${program} ${each}`).join(", ")}`] : []),
    ...(command.flags.length > 0 ? [`Options:\n${describeFlags(command.flags, width)}`] : []),
  ]
    .join("\n\n")
    .replace(/\n*$/, "\n");
}

export function usageLine(command: Command, called: string): string {
  return `Usage:  ${program} ${called} ${command.usage}`.trimEnd();
}

function section(title: string, lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([name]) => name.length), 9);
  return `${title}:\n${lines.map(([name, summary]) => `  ${name.padEnd(width)}   ${summary}`).join("\n")}`;
}

/** The list of flags, texts wrapped behind their longest name (as spf13/pflag does). */
export function describeFlags(specs: readonly FlagSpec[], width = defaultWidth): string {
  const lines = [...specs]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, short, kind, value, help }) => {
      const type = kind === "switch" ? "" : ` ${value ?? (kind === "list" ? "list" : "string")}`;
      const letter = short === undefined || short === "" ? "    " : `-${short}, `;
      return [`  ${letter}--${name}${type}`, help] as const;
    });
  const indent = Math.max(0, ...lines.map(([left]) => left.length)) + 3;
  return lines.map(([left, help]) => `${left.padEnd(indent)}${wrapText(help, indent, width)}`).join("\n");
}

function wrapText(text: string, indent: number, width: number): string {
  const below = width - indent < textWidthMin;
  const at = below ? 16 : indent;
  const room = width - at - slop;
  const lines = text.split("\n").flatMap((line) => wrapLine(line, room));
  const margin = `\n${" ".repeat(at)}`;
  return (below ? margin : "") + lines.join(margin);
}

function wrapLine(text: string, room: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > room + slop) {
    const space = rest.lastIndexOf(" ", room);
    if (space <= 0) break;
    lines.push(rest.slice(0, space));
    rest = rest.slice(space + 1);
  }
  return [...lines, rest];
}
