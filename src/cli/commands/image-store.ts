/** Commands about the space that images take. */
import { createInterface } from "node:readline/promises";
import { type CliIo, type Command, filterFlag, filtersOf, formatFlag, write } from "#cli/flags/command.ts";
import { humanSize } from "#cli/flags/units.ts";
import { formatRows } from "#cli/terminal/rows.ts";

/** True for `y`; without anybody to ask, false. */
async function confirmed(io: CliIo, warning: string): Promise<boolean> {
  await write(io.stderr, `WARNING! ${warning}\nAre you sure you want to continue? [y/N] `);
  const lines = createInterface({ input: io.stdin });
  for await (const line of lines) return /^y(es)?$/i.test(line.trim());
  return false;
}

const prune: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", kind: "switch", help: "Remove all unused images, not just dangling ones" },
    { ...filterFlag, short: "", help: 'Provide filter values (e.g. "until=<timestamp>")' },
    { name: "force", short: "f", kind: "switch", help: "Do not prompt for confirmation" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const all = flags.on("all");
    const what = all ? "all images without at least one container associated to them" : "all dangling images";
    if (!flags.on("force") && !(await confirmed(io, `This will remove ${what}.`))) return 1;
    const filters = { ...filtersOf(flags.list("filter")), dangling: [String(!all)] };
    const { ImagesDeleted, SpaceReclaimed } = await (await client()).images.prune(filters);
    const lines = (ImagesDeleted ?? []).map((each) =>
      "Untagged" in each ? `untagged: ${each.Untagged}\n` : `deleted: ${each.Deleted}\n`,
    );
    if (lines.length > 0) await write(io.stdout, `Deleted Images:\n${lines.join("")}\n`);
    await write(io.stdout, `Total reclaimed space: ${humanSize(SpaceReclaimed, 4)}\n`);
    return 0;
  },
};

const headers = { Digest: "DIGEST", Size: "SIZE", Reasons: "KEPT BECAUSE" } as const;
const fields = ["Digest", "Size", "Reasons"] as const;

const blobs: Command = {
  usage: "[OPTIONS]",
  flags: [formatFlag],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const rows = (await (await client()).images.blobs()).map(({ Digest, Size, Reasons }) => ({
      ...{ Digest, Size: humanSize(Size) },
      Reasons: Reasons.length === 0 ? "nothing: the next clearing takes it" : Reasons.join("; "),
    }));
    const columns = fields.map((field) => ({ header: headers[field], field }));
    await write(io.stdout, formatRows(rows, columns, { format: flags.text("format"), headers }));
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { "image prune": prune, "image blobs": blobs };
