/** `save` and `load`: images in and out of archives. */

import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { type Command, write } from "#cli/command.ts";
import { platformJson } from "#cli/platform-flag.ts";
import { showProgress } from "#cli/progress-display.ts";
import { Fault } from "#spec/fault.ts";

const save: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [
    { name: "output", short: "o", kind: "text", help: "Write to a file, instead of STDOUT" },
    { name: "platform", kind: "text", help: "Save only the given platform variant" },
  ],
  least: 1,
  run: async ({ args, client, flags, io }) => {
    const output = flags.text("output");
    if (output === undefined && io.stdout.isTTY)
      throw new Fault("invalid", "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    const engine = await client();
    const archive = await engine.images.save(args, { platform: platformJson(flags.text("platform")) });
    if (output === undefined) {
      for await (const part of archive) await write(io.stdout, part);
      return 0;
    }
    // Under its name only when it is whole.
    const partial = `${output}.partial-${process.pid}`;
    try {
      const file = createWriteStream(partial, { mode: 0o600 });
      for await (const part of archive) if (!file.write(part)) await once(file, "drain");
      file.end();
      await once(file, "close");
      await rename(partial, output);
    } finally {
      await rm(partial, { force: true });
    }
    return 0;
  },
};

const load: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "input", short: "i", kind: "text", help: "Read from tar archive file, instead of STDIN" },
    { name: "platform", kind: "text", help: "Load only the given platform variant" },
    { name: "quiet", short: "q", kind: "switch", help: "Suppress the load output" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const input = flags.text("input");
    if (input === undefined && io.stdin.isTTY)
      throw new Fault("invalid", "requested load from stdin, but stdin is empty");
    const archive = input === undefined ? io.stdin : createReadStream(input, { highWaterMark: 1 << 20 });
    const messages = (await client()).images.load(archive as AsyncIterable<Uint8Array>, {
      quiet: flags.on("quiet") || !io.stdout.isTTY,
      platform: platformJson(flags.text("platform")),
    });
    await showProgress(messages, io.stdout);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { save, load };
