/** `diff` and `export`: what a container changed, and all it has. */
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Command, write } from "#cli/command.ts";
import { writeOutputFile } from "#cli/output-file.ts";
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
    const output = flags.text("output") ?? "";
    if (output === "" && io.stdout.isTTY)
      throw new Fault("invalid", "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    const path = resolve(io.cwd, output);
    if (output !== "") await checkDirectory(path);
    const tar = await (await client()).archives.export(args[0] ?? "");
    if (output !== "") await writeOutputFile(path, tar);
    else for await (const part of tar) await write(io.stdout, part);
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
