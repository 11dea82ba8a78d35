/** `system check`: whether what the engine keeps is as it says, and putting right what is not. */
import { type Command, write } from "#cli/flags/command.ts";
import { humanSize } from "#cli/flags/units.ts";
import type { CheckedFinding, CheckSummary } from "#spec/check.ts";

const check: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "repair", kind: "switch", help: "Put right what can be without loss" },
    { name: "format", kind: "text", help: "'json': one object a line, as the engine tells them" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const repair = flags.on("repair");
    const json = flags.text("format") === "json";
    let open = 0;
    for await (const line of (await client()).check({ repair })) {
      if ("Finding" in line && !line.Finding.Repaired) open++;
      if (json) await write(io.stdout, `${JSON.stringify(line)}\n`);
      else
        await write(
          io.stdout,
          "Finding" in line ? findingText(line.Finding) : summaryText(line.Summary, repair),
        );
    }
    return open === 0 ? 0 : 1;
  },
};

function findingText({
  Area,
  Problem,
  Remedy,
  Repairable,
  Repaired,
  Error: failure,
}: CheckedFinding): string {
  const what = `${Area}: ${Problem}\n`;
  if (Repaired) return `${what}  repaired: ${Remedy}\n`;
  if (failure !== undefined) return `${what}  could not be repaired: ${failure}\n`;
  return `${what}  ${Repairable ? "--repair can" : "to do"}: ${Remedy}\n`;
}

function summaryText({ Findings, Repaired, Looked, ReadBytes }: CheckSummary, repair: boolean): string {
  const counts = Object.entries(Looked).map(([area, count]) => `${count} ${area}`);
  const found =
    Findings === 0 ? "nothing is wrong" : `${Findings} findings${repair ? `, ${Repaired} repaired` : ""}`;
  return `Looked at ${counts.join(", ")}; read ${humanSize(ReadBytes)}: ${found}.\n`;
}

export const commands: Readonly<Record<string, Command>> = { "system check": check };
