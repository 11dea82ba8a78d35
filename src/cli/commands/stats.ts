/** `stats`: what containers use, once or as a table that stays current. */
import { setTimeout as pause } from "node:timers/promises";
import {
  type CliIo,
  type Command,
  formatFlag,
  type Invocation,
  noTruncFlag,
  write,
} from "#cli/flags/command.ts";
import { formatRows } from "#cli/terminal/rows.ts";
import { formatWideTable } from "#cli/terminal/table.ts";
import { type UsageRow, usageHeaders, usageRow } from "#cli/terminal/usage-row.ts";
import type { Client } from "#client/client.ts";
import type { StatsAnswer } from "#spec/docker-stats.ts";

const refreshMs = 500;
const columns = (["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"] as const).map(
  (field) => ({ field, header: usageHeaders[field] }),
);

interface Options {
  readonly all: boolean;
  readonly whole: boolean;
  readonly format: string | undefined;
}

const stats: Command = {
  usage: "[OPTIONS] [CONTAINER...]",
  flags: [
    { name: "all", short: "a", kind: "switch", help: "Show all containers (default shows just running)" },
    formatFlag,
    { name: "no-stream", kind: "switch", help: "Disable streaming stats and only pull the first result" },
    { ...noTruncFlag, help: "Do not truncate output" },
  ],
  least: 0,
  run: async (o) => {
    const { flags } = o;
    const options = { all: flags.on("all"), whole: flags.on("no-trunc"), format: flags.text("format") };
    if (flags.on("no-stream")) return await showOnce(o, options);
    return await showLive(o, options);
  },
};

/** As the user called them, or those that run. */
async function wanted(client: Client, args: readonly string[], { all }: Options): Promise<string[]> {
  if (args.length > 0) return [...args];
  return (await client.containers.list({ all })).map(({ Id }) => Id.slice(0, 12));
}

async function showOnce(o: Invocation, options: Options): Promise<number> {
  const client = await o.client();
  const names = await wanted(client, o.args, options);
  const answers = await Promise.allSettled(names.map((name) => client.containers.statsOnce(name)));
  const failed = answers.find((each) => each.status === "rejected");
  if (failed !== undefined && o.args.length > 0) throw failed.reason;
  const rows = answers.flatMap((each, at) =>
    each.status === "fulfilled" ? [usageRow(names[at] ?? "", each.value, options.whole)] : [],
  );
  await write(o.io.stdout, render(rows, options));
  return 0;
}

function render(rows: readonly UsageRow[], { format }: Options): string {
  return formatRows(rows, columns, { format, headers: usageHeaders });
}

async function showLive(o: Invocation, options: Options): Promise<number> {
  const client = await o.client();
  const stop = new AbortController();
  using _ = o.io.onSignals(["SIGINT", "SIGTERM"], () => stop.abort());
  const live = new LiveUsage(client, stop.signal);
  const everything = o.args.length === 0;
  if (everything) live.follow(options);
  await Promise.all((await wanted(client, o.args, options)).map(async (name) => await live.add(name)));
  const screen = new Screen(o.io);
  while (!stop.signal.aborted) {
    if (live.failure !== undefined) throw live.failure;
    if (!everything && live.empty) return 0;
    await screen.show(render(live.rows(options.whole), options));
    await pause(refreshMs, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  return 0;
}

/** The newest answer of each container that is followed. */
class LiveUsage {
  readonly #client: Client;
  readonly #signal: AbortSignal;
  readonly #newest = new Map<string, { answer?: StatsAnswer; readonly leave: AbortController }>();
  failure: unknown;

  constructor(client: Client, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  get empty(): boolean {
    return this.#newest.size === 0;
  }

  rows(whole: boolean): UsageRow[] {
    return [...this.#newest].map(([name, { answer }]) => usageRow(name, answer, whole));
  }

  /** Resolves with the first answer. @throws Fault `not-found`. */
  async add(name: string): Promise<void> {
    if (this.#newest.has(name)) return;
    const entry: { answer?: StatsAnswer; readonly leave: AbortController } = { leave: new AbortController() };
    this.#newest.set(name, entry);
    const signal = AbortSignal.any([this.#signal, entry.leave.signal]);
    const answers = this.#client.containers.stats(name, signal)[Symbol.asyncIterator]();
    const first = await answers.next();
    if (first.done === true) return void this.#newest.delete(name);
    entry.answer = first.value;
    const read = async (): Promise<void> => {
      for (let next = await answers.next(); next.done !== true; next = await answers.next())
        entry.answer = next.value;
    };
    const leave = (): void => this.remove(name);
    read().then(leave, leave);
  }

  remove(name: string): void {
    this.#newest.get(name)?.leave.abort();
    this.#newest.delete(name);
  }

  /** Keeps to what starts and ends from now on. */
  follow({ all }: Options): void {
    const filters = { type: ["container"], event: all ? ["create", "destroy"] : ["start", "die", "destroy"] };
    const read = async (): Promise<void> => {
      for await (const { Action, Actor } of this.#client.events({ filters, signal: this.#signal })) {
        const name = Actor.ID.slice(0, 12);
        if (Action === "start" || Action === "create") this.add(name).catch(() => this.remove(name));
        else this.remove(name);
      }
    };
    read().catch((thrown: unknown) => {
      if (!this.#signal.aborted) this.failure = thrown;
    });
  }
}

/** Draws over what it drew before, without a flicker: lines are cleared behind their text, the rest below. */
class Screen {
  readonly #io: CliIo;
  #first = true;

  constructor(io: CliIo) {
    this.#io = io;
  }

  async show(text: string): Promise<void> {
    const clear = this.#first ? "\x1b[2J" : "";
    this.#first = false;
    await write(this.#io.stdout, `${clear}\x1b[H${text.replaceAll("\n", "\x1b[K\n")}\x1b[J`);
  }
}

const top: Command = {
  usage: "CONTAINER [ps OPTIONS]",
  flags: [],
  least: 1,
  interspersed: false,
  run: async ({ args, client, io }) => {
    const [name = "", ...rest] = args;
    const { Titles, Processes } = await (await client()).containers.top(name, rest.join(" "));
    await write(io.stdout, formatWideTable([Titles, ...(Processes ?? [])]));
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { stats, top };
