import { expect, test } from "bun:test";
import { commandsOf, commandTable, namesOf } from "./command-table.ts";
import { commandHelp, describeFlags, groupHelp, overview } from "./help.ts";

test("flags are wrapped behind the longest name, as pflag does", () => {
  const flags = [
    { name: "all", short: "a", kind: "switch", help: "Show all containers (default shows just running)" },
    {
      name: "last",
      short: "n",
      kind: "text",
      value: "int",
      help: "Show n last created containers (includes all states) (default -1)",
    },
    { name: "format", kind: "text", help: "One\nTwo" },
  ] as const;
  expect(describeFlags(flags, 80)).toBe(
    [
      "  -a, --all             Show all containers (default shows just running)",
      "      --format string   One",
      "                        Two",
      "  -n, --last int        Show n last created containers (includes all",
      "                        states) (default -1)",
    ].join("\n"),
  );
  expect(describeFlags([{ name: "a-flag", kind: "switch", help: "what it does" }], 30)).toBe(
    "      --a-flag   \n                what it does",
  );
});

test("a command's help names it in every way", async () => {
  const ps = await commandTable["ps"]?.load();
  if (ps === undefined) throw new Error("no ps");
  expect(commandHelp(ps, "ps", "container ls")).toStartWith(
    "Usage:  wherry container ls [OPTIONS]\n\nList containers\n\nAliases:\n  wherry container ls, wherry container list, wherry container ps, wherry ps\n\nOptions:\n  -a, --all ",
  );
  expect(namesOf("stop")).toEqual(["container stop", "stop"]);
});

test("groups list their commands, the overview all of them", () => {
  expect(commandsOf("container").map(({ verb }) => verb)).toContain("ls");
  expect(commandsOf("volume").map(({ verb }) => verb)).toContain("prune");
  expect(groupHelp("volume")).toMatch(
    /^Usage: {2}wherry volume COMMAND\n\nManage volumes\n\nCommands:\n {2}clone {7}Make a volume with all that another one has\n/,
  );
  const text = overview([]);
  for (const name of Object.keys(commandTable))
    if (!name.includes(" ")) expect(text).toContain(`\n  ${name} `);
});

test("every command loads, and its help can be written", async () => {
  for (const [name, entry] of Object.entries(commandTable))
    expect(commandHelp(await entry.load(), name)).toStartWith(`Usage:  wherry ${name}`);
});
