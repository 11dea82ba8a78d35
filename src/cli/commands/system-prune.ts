/** `system prune`: everything that nobody uses, kind by kind, as docker's. */

import { type Command, filterFlag, filtersOf, write } from "#cli/flags/command.ts";
import { humanSize } from "#cli/flags/units.ts";
import { confirmed } from "#cli/terminal/confirm.ts";
import { leavingText, nowFlag, undoHint } from "#cli/terminal/removal.ts";
import type { Client } from "#client/client.ts";
import { Fault } from "#spec/fault.ts";
import { type Filters, formatFilters } from "#spec/filters.ts";

interface Wanted {
  readonly all: boolean;
  readonly volumes: boolean;
  readonly now: boolean;
  readonly filters: Filters;
}

interface Pruned {
  readonly title: string;
  readonly lines: readonly string[];
  readonly bytes: number;
}

const prune: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", kind: "switch", help: "Remove all unused images not just dangling ones" },
    {
      ...filterFlag,
      short: "",
      help: 'Provide filter values (e.g. "label=<key>=<value>")',
    },
    { name: "force", short: "f", kind: "switch", help: "Do not prompt for confirmation" },
    { name: "volumes", kind: "switch", help: "Prune anonymous volumes" },
    { ...nowFlag, help: `${nowFlag.help}; what of the trash fits goes, too` },
  ],
  least: 0,
  most: 0,
  run: async ({ client: connect, flags, io, nowMs }) => {
    const filters = filtersOf(flags.list("filter"));
    const [all, volumes, now] = [flags.on("all"), flags.on("volumes"), flags.on("now")];
    if (volumes && filters["until"] !== undefined)
      throw new Fault("invalid", 'ERROR: The "until" filter is not supported with "--volumes"');
    const wanted: Wanted = { all, volumes, now, filters };
    const client = await connect();
    if (!flags.on("force") && !(await confirmed(io, await question(client, wanted, nowMs())))) return 0;
    let total = 0;
    let undoable = false;
    for await (const { title, lines, bytes } of pruneAll(client, wanted)) {
      total += bytes;
      undoable ||= title === "Volumes" && lines.length > 0 && !now;
      if (lines.length > 0)
        await write(io.stdout, `Deleted ${title}:\n${lines.map((line) => `${line}\n`).join("")}\n`);
    }
    await write(io.stdout, `Total reclaimed space: ${humanSize(total, 4)}\n`);
    if (undoable) await write(io.stdout, `Volumes: ${undoHint}`);
    return 0;
  },
};

async function question(client: Client, wanted: Wanted, nowMs: number): Promise<string> {
  const { all, volumes, filters } = wanted;
  const going = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(volumes ? ["all anonymous volumes not used by at least one container"] : []),
    all ? "all images without at least one container associated to them" : "all dangling images",
    all ? "all build cache" : "unused build cache",
  ];
  const chosen = Object.entries(filters).flatMap(([key, values]) =>
    values.map((value) => `  - ${key}=${value}\n`),
  );
  const filtered =
    chosen.length === 0 ? "" : `\n  Items to be pruned will be filtered with:\n${chosen.join("")}`;
  const list = volumes
    ? `\n${leavingText((await client.volumes.prune(filters, { dryRun: true })).Volumes ?? [], nowMs)}`
    : "";
  return `WARNING! This will remove:\n${going.map((line) => `  - ${line}\n`).join("")}${filtered}${list}\nAre you sure you want to continue? [y/N] `;
}

/** In docker's order: what a container was in the way of goes in the same call. */
async function* pruneAll(client: Client, wanted: Wanted): AsyncGenerator<Pruned> {
  const { all, volumes, now, filters } = wanted;
  const containers = await client.containers.prune(filters);
  yield { title: "Containers", lines: containers.ContainersDeleted ?? [], bytes: containers.SpaceReclaimed };
  const { NetworksDeleted } = await client.networks.prune(filters);
  yield { title: "Networks", lines: NetworksDeleted ?? [], bytes: 0 };
  if (volumes) {
    const { VolumesDeleted, SpaceReclaimed } = await client.volumes.prune(filters, { now });
    yield { title: "Volumes", lines: VolumesDeleted ?? [], bytes: SpaceReclaimed };
  }
  const images = await client.images.prune({ ...filters, dangling: [String(!all)] });
  const lines = (images.ImagesDeleted ?? []).map((each) =>
    "Untagged" in each ? `untagged: ${each.Untagged}` : `deleted: ${each.Deleted}`,
  );
  yield { title: "Images", lines, bytes: images.SpaceReclaimed };
  const { until } = filters;
  const cache = await client.builds.prune({
    all,
    filters: formatFilters(until === undefined ? {} : { until }),
  });
  yield { title: "build cache objects", lines: cache.CachesDeleted ?? [], bytes: cache.SpaceReclaimed };
}

export const commands: Readonly<Record<string, Command>> = { "system prune": prune };
