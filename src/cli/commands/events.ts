/** `events`: what happens in the engine, as it happens. */
import { type Command, filterFlag, filtersOf, formatFlag, write } from "#cli/flags/command.ts";
import { apiTime } from "#cli/flags/units.ts";
import { localTime } from "#cli/terminal/timestamp.ts";
import type { EventMessage } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { compileTemplate } from "#spec/template.ts";

const events: Command = {
  usage: "[OPTIONS]",
  flags: [
    filterFlag,
    { ...formatFlag, help: "Format output using a custom template: 'json' or 'TEMPLATE'" },
    { name: "since", kind: "text", help: "Show all events created since timestamp" },
    { name: "until", kind: "text", help: "Stream events until this timestamp" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io, nowMs }) => {
    const show = renderer(flags.text("format"));
    const time = (name: string): string | undefined => {
      const text = flags.text(name);
      return text === undefined ? undefined : apiTime(text, nowMs());
    };
    const stop = new AbortController();
    using _ = io.onSignals(["SIGINT", "SIGTERM"], () => stop.abort());
    const lines = (await client()).eventLines({
      since: time("since"),
      until: time("until"),
      filters: filtersOf(flags.list("filter")),
      signal: stop.signal,
    });
    try {
      for await (const line of lines) await write(io.stdout, `${show(line)}\n`);
    } catch (thrown) {
      if (!stop.signal.aborted || Fault.from(thrown).kind === "internal") throw thrown;
    }
    return 0;
  },
};

function renderer(format: string | undefined): (line: string) => string {
  if (format === "json") return (line) => line;
  if (format === undefined || format === "")
    return (line) => eventText(JSON.parse(line) as EventMessage, line);
  const template = compileTemplate(format);
  return (line) => template({ ...(JSON.parse(line) as EventMessage), timeNano: exactTime(line) });
}

/** Nanoseconds, exactly: as a JSON number they would lose their last digits. */
function exactTime(line: string): bigint {
  return BigInt(/"timeNano":(\d+)/.exec(line)?.[1] ?? 0);
}

/** `TIME TYPE ACTION ID (key=value, …)`. */
function eventText(event: EventMessage, line: string): string {
  const attributes = Object.entries(event.Actor.Attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  const told = attributes.length > 0 ? ` (${attributes.join(", ")})` : "";
  return `${localTime(exactTime(line))} ${event.Type} ${event.Action} ${event.Actor.ID}${told}`;
}

export const commands: Readonly<Record<string, Command>> = { events };
