/** `undo` and `trash`: removed volumes back, or gone for good. */
import { type Command, formatFlag, write } from "#cli/flags/command.ts";
import { humanSize, timeAgo } from "#cli/flags/units.ts";
import { confirmed } from "#cli/terminal/confirm.ts";
import { formatRows } from "#cli/terminal/rows.ts";
import { humanDuration } from "#spec/go-duration.ts";
import type { TrashedVolume } from "#spec/trash.ts";

const headers = {
  ID: "ID",
  Removal: "REMOVAL",
  Name: "VOLUME",
  Size: "SIZE",
  Removed: "REMOVED",
  Left: "KEPT FOR",
} as const;
const columns = (["ID", "Removal", "Name", "Size", "Removed", "Left"] as const).map((field) => ({
  field,
  header: headers[field],
}));

function rows(trash: readonly TrashedVolume[], nowMs: number, format: string | undefined): string {
  const shown = trash.map((each) => ({
    ...{ ID: each.Id, Removal: each.Removal, Name: each.Name, Size: humanSize(each.Size) },
    Removed: timeAgo(Date.parse(each.RemovedAt) / 1000, nowMs),
    Left: humanDuration(Math.max(0, Date.parse(each.KeptUntil) - nowMs) / 1000),
  }));
  return formatRows(shown, columns, { format, headers });
}

const undo: Command = {
  usage: "[OPTIONS] [REMOVAL|ID|VOLUME]",
  flags: [
    formatFlag,
    { name: "list", short: "l", kind: "switch", help: "Show what can be undone, and do nothing" },
    { name: "name", kind: "text", help: "Another name for the volume" },
  ],
  least: 0,
  most: 1,
  run: async ({ args: [id], client, flags, io, nowMs }) => {
    const { trash } = await client();
    if (flags.on("list")) await write(io.stdout, rows(await trash.list(), nowMs(), flags.text("format")));
    else
      for (const { Name } of await trash.restore({ id, name: flags.text("name") }))
        await write(io.stdout, `${Name}\n`);
    return 0;
  },
};

const ls: Command = {
  usage: "[OPTIONS]",
  flags: [formatFlag],
  least: 0,
  most: 0,
  run: async ({ client, flags, io, nowMs }) => {
    await write(io.stdout, rows(await (await client()).trash.list(), nowMs(), flags.text("format")));
    return 0;
  },
};

const empty: Command = {
  usage: "[OPTIONS] [REMOVAL|ID...]",
  flags: [{ name: "force", short: "f", kind: "switch", help: "Do not prompt for confirmation" }],
  least: 0,
  run: async ({ args, client, flags, io, nowMs }) => {
    const { trash } = await client();
    if (!flags.on("force")) {
      const found = (await trash.list()).filter(
        ({ Id, Removal }) => args.length === 0 || args.includes(Id) || args.includes(Removal),
      );
      const question = `WARNING! These removed volumes will be gone for good:\n${rows(found, nowMs(), undefined)}Are you sure you want to continue? [y/N] `;
      if (!(await confirmed(io, question))) return 0;
    }
    const { SpaceReclaimed } = await trash.empty(args);
    await write(io.stdout, `Total reclaimed space: ${humanSize(SpaceReclaimed, 4)}\n`);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { undo, ls, empty };
