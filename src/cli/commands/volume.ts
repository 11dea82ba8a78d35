/** Commands about volumes. */
import {
  type Command,
  filterFlag,
  filtersOf,
  forEach,
  formatFlag,
  quietFlag,
  write,
} from "#cli/flags/command.ts";
import { humanSize } from "#cli/flags/units.ts";
import { dryRunFlag, leavingText, newRemoval, nowFlag, undoHint } from "#cli/terminal/removal.ts";
import { formatRows } from "#cli/terminal/rows.ts";
import { printObjects } from "./inspect.ts";

const create: Command = {
  usage: "[OPTIONS] [VOLUME]",
  flags: [
    { name: "driver", short: "d", kind: "text", help: "Specify volume driver name" },
    { name: "label", kind: "list", help: "Set metadata for a volume" },
    { name: "opt", short: "o", kind: "list", value: "map", help: "Set driver specific options" },
  ],
  least: 0,
  most: 1,
  run: async ({ args, client, flags, io }) => {
    const map = (texts: readonly string[]) =>
      Object.fromEntries(
        texts.map((text) => [
          text.split("=", 1)[0] ?? "",
          text.includes("=") ? text.slice(text.indexOf("=") + 1) : "",
        ]),
      );
    const { Name } = await (await client()).volumes.create({
      ...(args[0] !== undefined && { Name: args[0] }),
      Driver: flags.text("driver") ?? "local",
      Labels: map(flags.list("label")),
      DriverOpts: map(flags.list("opt")),
    });
    await write(io.stdout, `${Name}\n`);
    return 0;
  },
};

const headers = {
  Driver: "DRIVER",
  Name: "VOLUME NAME",
  Mountpoint: "MOUNTPOINT",
  Scope: "SCOPE",
  Labels: "LABELS",
} as const;

const ls: Command = {
  usage: "[OPTIONS]",
  flags: [filterFlag, formatFlag, { ...quietFlag, help: "Only display volume names" }],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const { Volumes } = await (await client()).volumes.list(filtersOf(flags.list("filter")));
    const rows = (Volumes ?? [])
      .map(({ Driver, Name, Mountpoint, Scope, Labels }) => ({
        Driver,
        Name,
        Mountpoint,
        Scope,
        Labels: Object.entries(Labels ?? {})
          .map(([key, value]) => `${key}=${value}`)
          .join(","),
      }))
      .sort((a, b) => (a.Name < b.Name ? -1 : 1));
    const columns = (["Driver", "Name"] as const).map((field) => ({ header: headers[field], field }));
    const text = flags.on("quiet")
      ? rows.map(({ Name }) => `${Name}\n`).join("")
      : formatRows(rows, columns, { format: flags.text("format"), headers });
    await write(io.stdout, text);
    return 0;
  },
};

const rm: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: [
    { name: "force", short: "f", kind: "switch", help: "Force the removal of one or more volumes" },
    nowFlag,
  ],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    const how = { force: o.flags.on("force"), now: o.flags.on("now"), removal: newRemoval() };
    return await forEach(o, async (name) => void (await client.volumes.remove(name, how)));
  },
};

const inspect: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: [{ ...formatFlag, short: "f" }],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    return await printObjects(o, async (name) => await client.volumes.inspect(name));
  },
};

const prune: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", kind: "switch", help: "Remove all unused volumes, not just anonymous ones" },
    { ...filterFlag, short: "" },
    { name: "force", short: "f", kind: "switch", help: "Do not prompt for confirmation" },
    { ...nowFlag, help: `${nowFlag.help}; what of the trash fits goes, too` },
    dryRunFlag,
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io, nowMs }) => {
    const filters = filtersOf(flags.list("filter"));
    if (flags.on("all")) filters["all"] = ["true"];
    const { volumes } = await client();
    const now = flags.on("now");
    if (flags.on("dry-run") || !flags.on("force")) {
      const { Volumes = [] } = await volumes.prune(filters, { dryRun: true });
      const which = flags.on("all") ? "all" : "anonymous";
      const warning = `WARNING! This will remove ${which} local volumes not used by at least one container.\n`;
      const going = `${leavingText(Volumes, nowMs())}`;
      if (flags.on("dry-run")) {
        await write(io.stdout, going);
        return 0;
      }
      const { confirmed } = await import("#cli/terminal/confirm.ts");
      const question = `${warning}${going}Are you sure you want to continue? [y/N] `;
      if (!(await confirmed(io, question))) return 0;
    }
    const { VolumesDeleted, SpaceReclaimed } = await volumes.prune(filters, { now });
    const names = VolumesDeleted ?? [];
    if (names.length > 0)
      await write(io.stdout, `Deleted Volumes:\n${names.map((name) => `${name}\n`).join("")}\n`);
    await write(io.stdout, `Total reclaimed space: ${humanSize(SpaceReclaimed, 4)}\n`);
    if (names.length > 0 && !now) await write(io.stdout, undoHint);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { create, ls, rm, inspect, prune };
