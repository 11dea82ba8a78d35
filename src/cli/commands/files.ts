/** `diff` and `export`: what a container changed, and all it has. */
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Command, write } from "#cli/flags/command.ts";
import { refuseTerminal, writeOutput } from "#cli/terminal/output-file.ts";
import { Fault } from "#spec/fault.ts";

const letters = ["C", "A", "D"] as const;

const diff: Command = {
  usage: "CONTAINER",
  flags: [],
  least: 1,
  most: 1,
  run: async ({ args, client, io }) => {
    const changes = await (await client()).archives.changes(args[0] ?? "");
    await write(io.stdout, changes.map(({ Kind, Path }) => `${letters[Kind]} ${Path}\n`).join(""));
    return 0;
  },
};

const exportCommand: Command = {
  usage: "[OPTIONS] CONTAINER",
  flags: [{ name: "output", short: "o", kind: "text", help: "Write to a file, instead of STDOUT" }],
  least: 1,
  most: 1,
  run: async ({ args, client, flags, io }) => {
    const named = flags.text("output") || undefined;
    const output = named && resolve(io.cwd, named);
    refuseTerminal(io, output);
    if (output !== undefined) await checkDirectory(output);
    await writeOutput(io, output, await (await client()).archives.export(args[0] ?? ""));
    return 0;
  },
};

async function checkDirectory(path: string): Promise<void> {
  const directory = dirname(path);
  if ((await stat(directory).catch(() => undefined)) === undefined)
    throw new Fault(
      "invalid",
      `failed to export container: invalid output path: stat ${directory}: no such file or directory`,
    );
}

export const commands: Readonly<Record<string, Command>> = { diff, export: exportCommand };
