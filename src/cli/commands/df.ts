/** `system df` and `container prune`: what takes up space, and giving back what nobody needs. */
import { type Command, filterFlag, filtersOf, formatFlag, write } from "#cli/flags/command.ts";
import { humanSize, shownId, timeAgo } from "#cli/flags/units.ts";
import { type Column, formatRows } from "#cli/terminal/rows.ts";
import { ellipsis, formatTable } from "#cli/terminal/table.ts";
import type { BuildCacheUsage, DiskExplanation, DiskUsage } from "#spec/docker-df.ts";
import type { ContainerSummary, ImageSummary, VolumeInspect } from "#spec/docker-wire.ts";
import type { TrashedVolume } from "#spec/trash.ts";

interface UsageRow {
  readonly Type: string;
  readonly TotalCount: string;
  readonly Active: string;
  readonly Size: string;
  readonly Reclaimable: string;
}

const headers = {
  Type: "TYPE",
  TotalCount: "TOTAL",
  Active: "ACTIVE",
  Size: "SIZE",
  Reclaimable: "RECLAIMABLE",
} as const;
const columns: Column<UsageRow>[] = (["Type", "TotalCount", "Active", "Size", "Reclaimable"] as const).map(
  (field) => ({ field, header: headers[field] }),
);

const partHeaders = {
  Name: "WHAT",
  Size: "SIZE",
  Files: "FILES",
  Hint: "GETS SMALLER BY",
  Bytes: "BYTES",
} as const;
const partColumns = (["Name", "Size", "Files", "Hint"] as const).map((field) => ({
  field,
  header: partHeaders[field],
}));

const df: Command = {
  usage: "[OPTIONS]",
  flags: [
    formatFlag,
    { name: "explain", kind: "switch", help: "Say where all bytes below the data root are" },
    { name: "verbose", short: "v", kind: "switch", help: "Show detailed information on space usage" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io, nowMs }) => {
    if (flags.on("explain")) {
      await write(io.stdout, explained(await (await client()).explainDisk(), flags.text("format")));
      return 0;
    }
    const usage = await (await client()).diskUsage();
    const text = flags.on("verbose")
      ? details(usage, nowMs())
      : formatRows(rowsOf(usage), columns, { format: flags.text("format"), headers });
    await write(io.stdout, text);
    return 0;
  },
};

function explained({ Root, Bytes, Parts }: DiskExplanation, format: string | undefined): string {
  const rows = [...Parts]
    .sort((a, b) => b.Bytes - a.Bytes)
    .map((part) => ({ ...part, Size: humanSize(part.Bytes, 4), Files: String(part.Files) }));
  const table = formatRows(rows, partColumns, { format, headers: partHeaders });
  return format === undefined ? `${table}${humanSize(Bytes, 4)} in ${Root}, as du counts it.\n` : table;
}

function rowsOf({ LayersSize, Images, Containers, Volumes, BuildCache, Trash }: DiskUsage): UsageRow[] {
  const images = Images ?? [];
  const containers = Containers ?? [];
  const volumes = Volumes ?? [];
  const usedImages = images.filter(({ Containers: count }) => count > 0);
  const usedLayers = usedImages.reduce((sum, { Size, SharedSize }) => sum + Size - SharedSize, 0);
  const running = containers.filter(({ State }) => ["running", "paused", "restarting"].includes(State));
  const usedVolumes = volumes.filter(({ UsageData }) => (UsageData?.RefCount ?? 0) > 0);
  return [
    row("Images", images.length, usedImages.length, LayersSize, LayersSize - usedLayers),
    row(
      "Containers",
      containers.length,
      running.length,
      written(containers),
      written(containers) - written(running),
    ),
    row(
      "Local Volumes",
      volumes.length,
      usedVolumes.length,
      kept(volumes),
      kept(volumes) - kept(usedVolumes),
    ),
    cacheRow(BuildCache ?? []),
    ...trashRow(Trash ?? []),
  ];
}

/** What images have, too, counts there; what is not in use can go, without a share of the whole. */
function cacheRow(cache: readonly BuildCacheUsage[]): UsageRow {
  const used = cache.filter(({ InUse }) => InUse);
  const size = sizes(unshared(cache));
  const counted = row("Build Cache", cache.length, used.length, size, 0);
  return { ...counted, Reclaimable: humanSize(size - sizes(unshared(used)), 4) };
}

function unshared(cache: readonly BuildCacheUsage[]): BuildCacheUsage[] {
  return cache.filter(({ Shared }) => !Shared);
}

/** Docker has no such row: it is there only when something is in it. */
function trashRow(trash: readonly TrashedVolume[]): UsageRow[] {
  return trash.length === 0 ? [] : [row("Trash", trash.length, 0, sizes(trash), sizes(trash))];
}

function sizes(of: readonly { readonly Size: number }[]): number {
  return of.reduce((sum, { Size }) => sum + Size, 0);
}

function row(Type: string, total: number, active: number, size: number, reclaimable: number): UsageRow {
  const share = size > 0 ? ` (${Math.trunc((reclaimable / size) * 100)}%)` : "";
  return {
    Type,
    TotalCount: String(total),
    Active: String(active),
    Size: humanSize(size, 4),
    Reclaimable: `${humanSize(reclaimable, 4)}${share}`,
  };
}

function written(containers: readonly ContainerSummary[]): number {
  return containers.reduce((sum, { SizeRw = 0 }) => sum + SizeRw, 0);
}

function kept(volumes: readonly VolumeInspect[]): number {
  return volumes.reduce((sum, { UsageData }) => sum + Math.max(0, UsageData?.Size ?? 0), 0);
}

function details({ Images, Containers, Volumes, BuildCache, Trash }: DiskUsage, nowMs: number): string {
  const cache = BuildCache ?? [];
  const trash = Trash ?? [];
  return [
    `Images space usage:\n\n${imageTable(Images ?? [], nowMs)}`,
    `Containers space usage:\n\n${containerTable(Containers ?? [], nowMs)}`,
    `Local Volumes space usage:\n\n${formatTable([
      ["VOLUME NAME", "LINKS", "SIZE"],
      ...(Volumes ?? []).map(({ Name, UsageData }) => [
        ...[Name, String(UsageData?.RefCount ?? 0), humanSize(UsageData?.Size ?? 0, 4)],
      ]),
    ])}`,
    `Build cache usage: ${humanSize(sizes(unshared(cache)), 4)}\n\n${cacheTable(cache, nowMs)}`,
    ...(trash.length === 0
      ? []
      : [
          `Removed volumes that 'wherry undo' can bring back:\n\n${formatTable([
            ["ID", "VOLUME NAME", "SIZE"],
            ...trash.map(({ Id, Name, Size }) => [Id, Name, humanSize(Size, 4)]),
          ])}`,
        ]),
  ].join("\n");
}

function cacheTable(cache: readonly BuildCacheUsage[], nowMs: number): string {
  const ago = (time: string | null) => (time === null ? "" : timeAgo(Date.parse(time) / 1000, nowMs));
  return formatTable([
    ["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"],
    ...[...cache]
      .sort(byLastUse)
      .map((each) => [
        ...[
          `${shownId(each.ID, false)}${each.InUse ? "*" : ""}`,
          each.Type,
          humanSize(each.Size),
          ago(each.CreatedAt),
          ago(each.LastUsedAt),
        ],
        ...[String(each.UsageCount), String(each.Shared)],
      ]),
  ]);
}

/** Those that never were used first. */
function byLastUse(one: BuildCacheUsage, other: BuildCacheUsage): number {
  const [at, otherAt] = [one, other].map(({ LastUsedAt }) => Date.parse(LastUsedAt ?? "") || 0);
  return (at ?? 0) - (otherAt ?? 0) || (one.ID < other.ID ? -1 : 1);
}

function imageTable(images: readonly ImageSummary[], nowMs: number): string {
  return formatTable([
    ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"],
    ...images.map(({ RepoTags, Id, Created, Size, SharedSize, Containers }) => {
      const name = RepoTags?.[0] ?? "<none>:<none>";
      const colon = name.lastIndexOf(":");
      return [
        ...[name.slice(0, colon), name.slice(colon + 1), shownId(Id, false), timeAgo(Created, nowMs)],
        ...[humanSize(Size), humanSize(SharedSize, 4), humanSize(Size - SharedSize, 4), String(Containers)],
      ];
    }),
  ]);
}

function containerTable(containers: readonly ContainerSummary[], nowMs: number): string {
  return formatTable([
    ["CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"],
    ...containers.map(({ Id, Image, Command, Mounts, SizeRw = 0, Created, Status, Names }) => [
      ...[shownId(Id, false), Image, JSON.stringify(ellipsis(Command, 20))],
      String(Mounts.filter(({ Driver }) => Driver === "local").length),
      ...[humanSize(SizeRw), timeAgo(Created, nowMs), Status, Names.map((name) => name.slice(1)).join(",")],
    ]),
  ]);
}

const prune: Command = {
  usage: "[OPTIONS]",
  flags: [
    { ...filterFlag, short: "", help: 'Provide filter values (e.g. "until=<timestamp>")' },
    { name: "force", short: "f", kind: "switch", help: "Do not prompt for confirmation" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const filters = filtersOf(flags.list("filter"));
    const { confirmed } = await import("#cli/terminal/confirm.ts");
    const warning =
      "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ";
    if (!flags.on("force") && !(await confirmed(io, warning))) return 0;
    const { ContainersDeleted, SpaceReclaimed } = await (await client()).containers.prune(filters);
    if (ContainersDeleted !== null && ContainersDeleted.length > 0)
      await write(io.stdout, `Deleted Containers:\n${ContainersDeleted.map((id) => `${id}\n`).join("")}\n`);
    await write(io.stdout, `Total reclaimed space: ${humanSize(SpaceReclaimed, 4)}\n`);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { df, prune };
