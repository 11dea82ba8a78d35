/** `ps`: the list of containers. */
import {
  type Command,
  filterFlag,
  filtersOf,
  formatFlag,
  noTruncFlag,
  quietFlag,
  write,
} from "#cli/flags/command.ts";
import { formatPorts } from "#cli/flags/port-text.ts";
import { humanSize, shownId, timeAgo } from "#cli/flags/units.ts";
import { type Column, formatRows } from "#cli/terminal/rows.ts";
import { ellipsis } from "#cli/terminal/table.ts";
import type { ContainerSummary } from "#spec/docker-wire.ts";

interface ContainerRow {
  readonly ID: string;
  readonly Image: string;
  readonly Command: string;
  readonly CreatedAt: string;
  readonly RunningFor: string;
  readonly Ports: string;
  readonly State: string;
  readonly Status: string;
  readonly Size: string;
  readonly Names: string;
  readonly Labels: string;
  readonly Mounts: string;
  readonly Networks: string;
  readonly LocalVolumes: string;
  /** Only an engine with images for several says which one a container has. */
  readonly Platform: null;
  readonly Label: (name: string) => string;
}

const headers = {
  ID: "CONTAINER ID",
  Image: "IMAGE",
  Command: "COMMAND",
  CreatedAt: "CREATED AT",
  RunningFor: "CREATED",
  Ports: "PORTS",
  State: "STATE",
  Status: "STATUS",
  Size: "SIZE",
  Names: "NAMES",
  Labels: "LABELS",
  Mounts: "MOUNTS",
  Networks: "NETWORKS",
  LocalVolumes: "LOCAL VOLUMES",
  Label: (name: string) => name,
} as const;

function rowOf(summary: ContainerSummary, whole: boolean, nowMs: number): ContainerRow {
  const command = JSON.stringify(whole ? summary.Command : ellipsis(summary.Command, 20));
  const { Names: names, Mounts: mounts } = summary;
  return {
    ID: shownId(summary.Id, whole),
    Image: summary.Image === "" ? "<no image>" : summary.Image,
    Command: command,
    CreatedAt: new Date(summary.Created * 1000)
      .toISOString()
      .replace("T", " ")
      .replace(".000Z", " +0000 UTC"),
    RunningFor: timeAgo(summary.Created, nowMs),
    Ports: formatPorts(summary.Ports),
    State: summary.State,
    Status: summary.Status,
    Size: sizeText(summary),
    Names: names.map((name) => name.replace(/^\//, "")).join(","),
    Labels: Object.entries(summary.Labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Mounts: mounts
      .map(({ Name, Source }) => Name ?? Source ?? "")
      .map((text) => (whole ? text : ellipsis(text, 15)))
      .join(","),
    Networks: Object.keys(summary.NetworkSettings?.Networks ?? {}).join(","),
    LocalVolumes: String(mounts.filter(({ Driver }) => Driver === "local").length),
    Platform: null,
    Label: (name) => summary.Labels[name] ?? "",
  };
}

function sizeText({ SizeRw = 0, SizeRootFs = 0 }: ContainerSummary): string {
  return SizeRootFs > 0 ? `${humanSize(SizeRw)} (virtual ${humanSize(SizeRootFs)})` : humanSize(SizeRw);
}

const ps: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", kind: "switch", help: "Show all containers (default shows just running)" },
    filterFlag,
    formatFlag,
    {
      name: "last",
      short: "n",
      kind: "text",
      value: "int",
      help: "Show n last created containers (includes all states)",
    },
    {
      name: "latest",
      short: "l",
      kind: "switch",
      help: "Show the latest created container (includes all states)",
    },
    noTruncFlag,
    quietFlag,
    { name: "size", short: "s", kind: "switch", help: "Display total file sizes" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io, nowMs }) => {
    const last = flags.text("last");
    const format = flags.text("format");
    const size = flags.on("size") || /\.Size|json \./.test(format ?? "");
    const list = await (await client()).containers.list({
      all: flags.on("all"),
      limit: flags.on("latest") ? 1 : last === undefined ? undefined : Math.max(0, Number(last)),
      size,
      filters: filtersOf(flags.list("filter")),
    });
    const whole = flags.on("no-trunc");
    const rows = list.map((summary) => rowOf(summary, whole, nowMs()));
    if (flags.on("quiet") && format === undefined) {
      await write(io.stdout, rows.map(({ ID }) => `${ID}\n`).join(""));
      return 0;
    }
    const columns: Column<ContainerRow>[] = (
      ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"] as const
    ).map((field) => ({ header: headers[field], field }));
    if (flags.on("size")) columns.push({ header: headers.Size, field: "Size" });
    await write(io.stdout, formatRows(rows, columns, { format, headers }));
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { ps };
