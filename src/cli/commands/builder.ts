/** `builder du` and `builder prune`: what builds keep, and giving it back. */
import { type Command, filterFlag, filtersOf, write } from "#cli/flags/command.ts";
import { humanSize, parseSize, timeAgo } from "#cli/flags/units.ts";
import { confirmed } from "#cli/terminal/confirm.ts";
import { formatTable } from "#cli/terminal/table.ts";
import { formatFilters } from "#spec/filters.ts";

const du: Command = {
  usage: "",
  flags: [],
  least: 0,
  most: 0,
  run: async ({ client, io, nowMs }) => {
    const records = (await (await client()).diskUsage()).BuildCache ?? [];
    const rows = records.map((each) => [
      each.ID,
      each.Type,
      String(!each.InUse),
      humanSize(each.Size),
      each.LastUsedAt === null ? "" : timeAgo(Date.parse(each.LastUsedAt) / 1000, nowMs()),
      each.Description,
    ]);
    const total = records.reduce((sum, { Size }) => sum + Size, 0);
    const reclaimable = records.reduce(
      (sum, { InUse, Shared, Size }) => sum + (InUse || Shared ? 0 : Size),
      0,
    );
    const table = formatTable([["ID", "TYPE", "RECLAIMABLE", "SIZE", "LAST USED", "DESCRIPTION"], ...rows]);
    await write(io.stdout, `${table}Reclaimable: ${humanSize(reclaimable)}\nTotal: ${humanSize(total)}\n`);
    return 0;
  },
};

const prune: Command = {
  usage: "[OPTIONS]",
  flags: [
    {
      name: "all",
      short: "a",
      kind: "switch",
      help: "Remove all unused build cache, not just dangling ones",
    },
    { ...filterFlag, short: "", help: 'Provide filter values (e.g. "until=24h")' },
    { name: "force", short: "f", kind: "switch", help: "Do not prompt for confirmation" },
    { name: "keep-storage", kind: "text", value: "bytes", help: "Amount of disk space to keep for cache" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const all = flags.on("all");
    const what = all ? "all build cache" : "all dangling build cache";
    if (
      !flags.on("force") &&
      !(await confirmed(io, `WARNING! This will remove ${what}.\nAre you sure you want to continue? [y/N] `))
    )
      return 1;
    const keep = flags.text("keep-storage");
    const { CachesDeleted, SpaceReclaimed } = await (await client()).builds.prune({
      all,
      filters: formatFilters(filtersOf(flags.list("filter"))),
      ...(keep !== undefined && { "keep-storage": parseSize(keep) }),
    });
    const ids = CachesDeleted ?? [];
    if (ids.length > 0) await write(io.stdout, `Deleted build cache objects:\n${ids.join("\n")}\n\n`);
    await write(io.stdout, `Total reclaimed space: ${humanSize(SpaceReclaimed, 4)}\n`);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { du, prune };
