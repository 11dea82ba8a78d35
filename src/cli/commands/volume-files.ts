/** Volumes made of others, and their files in and out: wherry's own commands. */
import { type Command, write } from "#cli/flags/command.ts";
import { readInput } from "#cli/terminal/input-file.ts";
import { refuseTerminal, writeOutput } from "#cli/terminal/output-file.ts";
import { Fault } from "#spec/fault.ts";
import { copyCommand } from "./cp.ts";

const cp = copyCommand({
  word: "volume",
  command: "wherry volume cp",
  files: ({ volumes }) => volumes.files,
});

const clone: Command = {
  usage: "VOLUME NEW_VOLUME",
  flags: [],
  least: 2,
  most: 2,
  run: async ({ args: [source = "", name = ""], client, io }) => {
    const { Name } = await (await client()).volumes.clone(source, { name });
    await write(io.stdout, `${Name}\n`);
    return 0;
  },
};

const mv: Command = {
  usage: "VOLUME NEW_NAME",
  flags: [],
  least: 2,
  most: 2,
  run: async ({ args: [name = "", to = ""], client }) => {
    await (await client()).volumes.rename(name, to);
    return 0;
  },
};

const snapshot: Command = {
  usage: "VOLUME [SNAPSHOT]",
  flags: [],
  least: 1,
  most: 2,
  run: async ({ args: [source = "", given], client, io }) => {
    const name =
      given ??
      `${source}-${new Date()
        .toISOString()
        .replace(/[^0-9]/g, "")
        .slice(0, 14)}`;
    const { Name } = await (await client()).volumes.clone(source, { name, snapshot: true });
    await write(io.stdout, `${Name}\n`);
    return 0;
  },
};

const restore: Command = {
  usage: "VOLUME SNAPSHOT",
  flags: [],
  least: 2,
  most: 2,
  run: async ({ args: [name = "", from = ""], client }) => {
    await (await client()).volumes.restore(name, from);
    return 0;
  },
};

const exporting: Command = {
  usage: "[OPTIONS] VOLUME",
  flags: [{ name: "output", short: "o", kind: "text", help: "Write to a file, instead of STDOUT" }],
  least: 1,
  most: 1,
  run: async ({ args: [name = ""], client, flags, io }) => {
    const output = flags.text("output");
    refuseTerminal(io, output);
    const { tar } = await (await client()).volumes.files.read(name, "/.");
    await writeOutput(io, output, tar);
    return 0;
  },
};

const importing: Command = {
  usage: "[OPTIONS] VOLUME",
  flags: [
    { name: "input", short: "i", kind: "text", help: "Read from tar archive file, instead of STDIN" },
    { name: "force", short: "f", kind: "switch", help: "Also into a volume that exists" },
  ],
  least: 1,
  most: 1,
  run: async ({ args: [name = ""], client, flags, io }) => {
    const input = flags.text("input");
    if (input === undefined && io.stdin.isTTY)
      throw new Fault("invalid", "requested import from stdin, but stdin is empty");
    const { volumes } = await client();
    const known = (await volumes.list()).Volumes ?? [];
    if (known.some(({ Name }) => Name === name) && !flags.on("force"))
      throw new Fault("conflict", `there is a volume named ${name}: choose another name, or say --force`);
    await volumes.create({ Name: name });
    await volumes.fill(name, readInput(io, input));
    await write(io.stdout, `${name}\n`);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = {
  ...{ cp, clone, mv, snapshot, restore },
  ...{ export: exporting, import: importing },
};
