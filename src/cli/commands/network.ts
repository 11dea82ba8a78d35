/** Commands about networks. */
import {
  type Command,
  filterFlag,
  filtersOf,
  formatFlag,
  noTruncFlag,
  quietFlag,
  write,
} from "#cli/command.ts";
import { printObjects } from "#cli/commands/inspect.ts";
import { formatRows } from "#cli/rows.ts";
import { shownId } from "#cli/units.ts";

const headers = { ID: "NETWORK ID", Name: "NAME", Driver: "DRIVER", Scope: "SCOPE" } as const;

const ls: Command = {
  usage: "[OPTIONS]",
  flags: [filterFlag, formatFlag, noTruncFlag, quietFlag],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const list = await (await client()).networks.list(filtersOf(flags.list("filter")));
    const rows = list
      .map(({ Id, Name, Driver, Scope }) => ({ ID: shownId(Id, flags.on("no-trunc")), Name, Driver, Scope }))
      .sort((a, b) => (a.Name < b.Name ? -1 : 1));
    const columns = (["ID", "Name", "Driver", "Scope"] as const).map((field) => ({
      header: headers[field],
      field,
    }));
    const text = flags.on("quiet")
      ? rows.map(({ ID }) => `${ID}\n`).join("")
      : formatRows(rows, columns, { format: flags.text("format"), headers });
    await write(io.stdout, text);
    return 0;
  },
};

const inspect: Command = {
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  flags: [{ ...formatFlag, short: "f" }],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    return await printObjects(o, async (name) => await client.networks.inspect(name));
  },
};

export const commands: Readonly<Record<string, Command>> = { ls, inspect };
