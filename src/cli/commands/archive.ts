/** `save` and `load`: images in and out of archives. */
import type { Command } from "#cli/flags/command.ts";
import { platformsJson } from "#cli/flags/platform-flag.ts";
import { readInput } from "#cli/terminal/input-file.ts";
import { refuseTerminal, writeOutput } from "#cli/terminal/output-file.ts";
import { showProgress } from "#cli/terminal/progress-display.ts";
import { Fault } from "#spec/fault.ts";

const save: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [
    { name: "output", short: "o", kind: "text", help: "Write to a file, instead of STDOUT" },
    { name: "platform", kind: "list", help: "Save only the given platform variants" },
  ],
  least: 1,
  run: async ({ args, client, flags, io }) => {
    const output = flags.text("output");
    refuseTerminal(io, output);
    const engine = await client();
    const archive = await engine.images.save(args, { platforms: platformsJson(flags.list("platform")) });
    await writeOutput(io, output, archive);
    return 0;
  },
};

const load: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "input", short: "i", kind: "text", help: "Read from tar archive file, instead of STDIN" },
    { name: "platform", kind: "list", help: "Load only the given platform variants" },
    { name: "quiet", short: "q", kind: "switch", help: "Suppress the load output" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const input = flags.text("input");
    if (input === undefined && io.stdin.isTTY)
      throw new Fault("invalid", "requested load from stdin, but stdin is empty");
    const messages = (await client()).images.load(readInput(io, input), {
      quiet: flags.on("quiet") || !io.stdout.isTTY,
      platforms: platformsJson(flags.list("platform")),
    });
    await showProgress(messages, io.stdout);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { save, load };
