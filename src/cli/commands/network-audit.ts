/** `network audit`: what is reachable from where, and what shows it. */
import { type Command, formatFlag, write } from "#cli/flags/command.ts";
import { formatRows } from "#cli/terminal/rows.ts";

const headers = {
  From: "FROM",
  To: "TO",
  Address: "ADDRESS",
  Verdict: "VERDICT",
  ShownBy: "SHOWN BY",
  Probe: "PROBE",
  Why: "WHY",
} as const;
type Field = keyof typeof headers;

export const audit: Command = {
  usage: "[OPTIONS]",
  flags: [
    formatFlag,
    { name: "from", kind: "text", value: "string", help: "Only from there: outside, host or a network" },
    { name: "open", kind: "switch", help: "Only what is not closed" },
    { name: "probe", kind: "switch", help: "Try it, from outside, from the host and from containers" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const probes = flags.on("probe");
    const { Rows } = await (await client()).networks.audit({ probe: probes });
    const from = flags.text("from");
    const rows = Rows.filter(
      ({ From, Verdict }) =>
        (from === undefined || From === from || From === `network ${from}`) &&
        (!flags.on("open") || Verdict !== "closed"),
    ).map(({ Probe = "", Untried, ...row }) => ({
      ...row,
      Probe: Untried === undefined ? Probe : `${Probe}: ${Untried}`,
    }));
    const shown = (Object.keys(headers) as Field[]).filter((field) => field !== "Probe" || probes);
    const columns = shown.map((field) => ({ header: headers[field], field }));
    await write(io.stdout, formatRows(rows, columns, { format: flags.text("format"), headers }));
    const count = (by: string) => rows.filter(({ ShownBy }) => ShownBy === by).length;
    if (probes)
      await write(
        io.stderr,
        `${rows.length} ways: ${count("probe")} shown by probes, ${count("rules")} by the rules alone, ${count("contradicted")} contradicted\n`,
      );
    // What is said to be closed and is not is what an audit is for.
    const wrong = rows.filter(({ ShownBy }) => ShownBy === "contradicted");
    for (const { From, To, Address, Verdict, Probe } of wrong)
      await write(io.stderr, `${To} at ${Address} should be ${Verdict} from ${From}, but is: ${Probe}\n`);
    return wrong.length > 0 ? 1 : 0;
  },
};
