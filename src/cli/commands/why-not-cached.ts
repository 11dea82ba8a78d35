/** `build why-not-cached`: which steps of the last build were done again, and what they read that had changed. */
import { resolve } from "node:path";
import { cachePage } from "#cli/build/cache-page.ts";
import { type Command, write } from "#cli/flags/command.ts";
import type { BuildOutcomeAnswer } from "#spec/build-outcome.ts";
import { Fault } from "#spec/fault.ts";

const whyNotCached: Command = {
  usage: "[OPTIONS] [PATH | URL]",
  flags: [
    {
      name: "format",
      kind: "text",
      value: "string",
      help: 'Format of the output ("json" for all that is known)',
    },
  ],
  least: 0,
  most: 1,
  run: async ({ args, client, flags, io, nowMs }) => {
    const format = flags.text("format");
    if (format !== undefined && format !== "json")
      throw new Fault("invalid", `invalid format ${JSON.stringify(format)}: want json`);
    const all = await (await client()).builds.outcomes();
    const [place] = args;
    const known = place === undefined ? all : all.filter(builtFrom(place, resolve(io.cwd, place)));
    const [newest] = known;
    if (format === "json") await write(io.stdout, `${JSON.stringify(known, null, 2)}\n`);
    else if (newest !== undefined) await write(io.stdout, cachePage(newest, nowMs()));
    else throw new Fault("not-found", nothingKnown(place));
    return 0;
  },
};

function builtFrom(address: string, directory: string) {
  return ({ Context, Origin }: BuildOutcomeAnswer): boolean =>
    Context === address || (Context === "" && Origin === `wherry:${directory}`);
}

/** Other clients say of a directory only something that tells it from others. */
function nothingKnown(place: string | undefined): string {
  return place === undefined
    ? "no build is known: build something, and change it, first"
    : `no build of ${place} by wherry is known: without a path, the last build by any client is shown`;
}

export const commands: Readonly<Record<string, Command>> = { "why-not-cached": whyNotCached };
