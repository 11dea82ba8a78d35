/**
 * Completion: what could stand at the end of a command line.
 * Promises: answers also without an engine, then without the names of its things; prints nothing but candidates, one a
 * line with a tab before what it is, and a last line of a colon and a number, as spf13/cobra's programs do.
 */
import { Client } from "#client/client.ts";
import {
  commandGroups,
  commandsOf,
  commandTable,
  groupOf,
  resolveCommand,
  subgroupsOf,
} from "./command-table.ts";
import { argumentKind, type Choice, flagChoice, type Kind } from "./completion-words.ts";
import type { CliIo } from "./flags/command.ts";
import { type FlagSpec, Flags, parseFlags } from "./flags/flags.ts";
import type { EnginePlace } from "./place/engine-place.ts";

/** The last line's number: bits that tell the shell what to do. */
const noSpace = 2;
const noFiles = 4;

type PlaceOf = (flags: Flags) => Promise<EnginePlace>;

interface Candidates {
  readonly lines: readonly string[];
  readonly directive: number;
}

/** `words` are those behind the program's name, the last one unfinished. @returns What to print. */
export async function complete(
  words: readonly string[],
  globalFlags: readonly FlagSpec[],
  io: CliIo,
  placeOf: PlaceOf,
): Promise<string> {
  const { lines, directive } = await candidates(words, globalFlags, io, placeOf);
  const typed = words.at(-1) ?? "";
  const fitting = lines.filter((line) => line.startsWith(typed));
  return `${fitting.map((line) => `${line}\n`).join("")}:${directive}\n`;
}

async function candidates(
  words: readonly string[],
  globalFlags: readonly FlagSpec[],
  io: CliIo,
  placeOf: PlaceOf,
): Promise<Candidates> {
  const before = words.slice(0, -1);
  const typed = words.at(-1) ?? "";
  const { flags, rest, open } = readBefore(before, globalFlags);
  if (open !== undefined)
    return { lines: open.name === "context" ? await contexts(io) : [], directive: noFiles };
  const found = resolveCommand(rest);
  const group = groupOf(rest);
  if (found === undefined || (rest.length > 0 && group !== undefined && group.verb === undefined)) {
    if (rest.length === 0)
      return typed.startsWith("-") ? flagLines(globalFlags) : { lines: topLevel(), directive: noFiles };
    if (group === undefined || group.verb !== undefined) return { lines: [], directive: noFiles };
    const own = commandsOf(group.group).map(({ verb, entry }) => `${verb}\t${entry.summary}`);
    const inner = subgroupsOf(group.group).map(([verb, summary]) => `${verb}\t${summary}`);
    return { lines: [...own, ...inner].sort(), directive: noFiles };
  }
  const command = await found.entry.load();
  const read = readBefore(found.args, command.flags, command.interspersed ?? true);
  const lookUp = async (choice: Choice, prefix = ""): Promise<Candidates> =>
    await look(choice, prefix, io, async () => await placeOf(flags));
  if (read.open !== undefined)
    return await lookUp(flagChoice(found.name, read.open.name, typed), filterPrefix(read.open.name, typed));
  const behindArguments = command.interspersed === false && read.rest.length > 0;
  if (typed.startsWith("-") && !behindArguments) return await flag(found.name, typed, command.flags, lookUp);
  return await lookUp({ words: [], kind: argumentKind(found.name, read.rest.length) });
}

/** What comes before a thing's name in the word that is completed. */
function filterPrefix(flagName: string, typed: string): string {
  return flagName === "filter" && typed.includes("=") ? typed.slice(0, typed.indexOf("=") + 1) : "";
}

async function flag(
  command: string,
  typed: string,
  specs: readonly FlagSpec[],
  lookUp: (choice: Choice, prefix?: string) => Promise<Candidates>,
): Promise<Candidates> {
  const equals = typed.indexOf("=");
  if (equals < 0) return flagLines(specs);
  const name = typed.slice(2, equals);
  const prefix = typed.slice(0, equals + 1);
  const value = typed.slice(equals + 1);
  const choice = flagChoice(command, name, value);
  const found = await lookUp(
    { ...choice, words: choice.words.map((word) => prefix + word) },
    prefix + filterPrefix(name, value),
  );
  return found;
}

function flagLines(specs: readonly FlagSpec[]): Candidates {
  const lines = [...specs, { name: "help", help: "Print usage" }]
    .map(({ name, help }) => `--${name}\t${help.split("\n")[0]}`)
    .sort();
  return { lines: [...new Set(lines)], directive: noFiles };
}

function topLevel(): string[] {
  const names = Object.entries(commandTable).flatMap(([name, { summary }]) =>
    name.includes(" ") ? [] : [`${name}\t${summary}`],
  );
  const groups = Object.entries(commandGroups).flatMap(([name, summary]) =>
    name.includes(" ") ? [] : [`${name}\t${summary}`],
  );
  return [...names, ...groups, "help\tHelp about the command"].sort();
}

/** Flags and arguments that stand already; `open` is a flag that waits for its value. */
function readBefore(
  words: readonly string[],
  specs: readonly FlagSpec[],
  interspersed = false,
): { readonly flags: Flags; readonly rest: readonly string[]; readonly open?: FlagSpec } {
  const last = words.at(-1) ?? "";
  const open = last.startsWith("--")
    ? specs.find(({ name, kind }) => kind !== "switch" && last === `--${name}`)
    : /^-[a-zA-Z]+$/.test(last)
      ? specs.find(({ short, kind }) => kind !== "switch" && short !== undefined && last.endsWith(short))
      : undefined;
  try {
    const parsed = parseFlags(open === undefined ? words : words.slice(0, -1), specs, { interspersed });
    const used = open !== undefined && !interspersed && parsed.rest.length > 0 ? undefined : open;
    const rest = used === open ? parsed.rest : [...parsed.rest, last];
    return { flags: parsed.flags, rest, ...(used !== undefined && { open: used }) };
  } catch {
    return { flags: new Flags(new Map()), rest: words.filter((word) => !word.startsWith("-")) };
  }
}

async function look(
  { words, kind }: Choice,
  prefix: string,
  io: CliIo,
  place: () => Promise<EnginePlace>,
): Promise<Candidates> {
  if (kind === "files") return { lines: words, directive: 0 };
  if (kind === "environment") return { lines: Object.keys(io.env).sort(), directive: noFiles };
  const names =
    kind === "nothing" ? [] : kind === "contexts" ? await contexts(io) : await namesFrom(place, io, kind);
  const lines = [...words, ...names.map((name) => prefix + name)];
  const goesOn = lines.length > 0 && words.length > 0 && lines.every((line) => /[=:]$/.test(line));
  return { lines, directive: goesOn ? noFiles | noSpace : noFiles };
}

/** What is in files is known without an engine; files that cannot be read know nothing. */
async function contexts(io: CliIo): Promise<string[]> {
  const { Contexts } = await import("./place/contexts.ts");
  const known = await new Contexts(io).list().catch(() => []);
  return ["default", ...known.map(({ Name }) => Name)].sort();
}

/** An engine that does not answer knows no names. */
async function namesFrom(place: () => Promise<EnginePlace>, io: CliIo, kind: Kind): Promise<string[]> {
  try {
    const client = await Client.connect({
      ...(await place()),
      version: io.env["DOCKER_API_VERSION"] ?? "1.50",
    });
    return await lists[kind](client);
  } catch {
    return [];
  }
}

const containers =
  (o: { readonly all: boolean; readonly status?: readonly string[] }) =>
  async (client: Client): Promise<string[]> => {
    const filters = o.status === undefined ? {} : { status: [...o.status] };
    const list = await client.containers.list({ all: o.all, filters });
    return list.flatMap(({ Names, Image, Status }) =>
      Names.map((name) => `${name.slice(1)}\t${Image}, ${Status}`),
    );
  };

async function images(client: Client): Promise<string[]> {
  return (await client.images.list({})).flatMap(({ RepoTags }) => RepoTags ?? []);
}

const lists: Readonly<Record<Kind, (client: Client) => Promise<string[]>>> = {
  containers: containers({ all: true }),
  running: containers({ all: false }),
  paused: containers({ all: true, status: ["paused"] }),
  unpaused: containers({ all: true, status: ["running"] }),
  stopped: containers({ all: true, status: ["created", "exited"] }),
  images,
  networks: async (client) => (await client.networks.list()).map(({ Name, Driver }) => `${Name}\t${Driver}`),
  volumes: async (client) => ((await client.volumes.list()).Volumes ?? []).map(({ Name }) => Name),
  trash: async (client) => (await client.trash.list()).map(({ Id, Name }) => `${Id}\tvolume ${Name}`),
  objects: async (client) => {
    const every = await Promise.all([
      lists.containers(client),
      images(client),
      lists.networks(client),
      lists.volumes(client),
    ]);
    return every.flat();
  },
  contexts: async () => [],
  environment: async () => [],
  files: async () => [],
  nothing: async () => [],
};
