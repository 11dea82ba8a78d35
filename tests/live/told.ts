/** Waiting for what a test wants to see, and events as short lines. */
import type { Client } from "#client/client.ts";
import { allPids, commandLine } from "#kernel/process.ts";
import type { ContainerState } from "#spec/docker-wire.ts";

const patienceMs = 20_000;
const pauseMs = 15;

/** The first answer that is neither undefined nor false. @throws What was looked for, when it never comes. */
export async function until<T>(
  look: () => T | Promise<T>,
  what: string = look.toString(),
): Promise<Exclude<T, undefined | false>> {
  const end = Date.now() + patienceMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen as Exclude<T, undefined | false>;
    if (Date.now() > end) throw new Error(`never seen: ${what}`);
    await Bun.sleep(pauseMs);
  }
}

export async function untilState(
  client: Client,
  id: string,
  test: (state: ContainerState, restarts: number) => boolean,
): Promise<ContainerState> {
  let last = "";
  return await until(async () => {
    const { State, RestartCount } = await client.containers.inspect(id);
    last = JSON.stringify(State);
    return test(State, RestartCount) ? State : undefined;
  }, `the state of ${id}`).catch(() => {
    throw new Error(`never in the state waited for, last ${last}`);
  });
}

/** Pids of this machine's processes with exactly these words, whatever namespace they are in. */
export function processesWith(words: string): number[] {
  return allPids().filter((pid) => commandLine(pid).replaceAll("\0", " ").trim() === words);
}

/** Until the millisecond that has begun is over. */
const soonMs = 2;

/** What was told of a container so far: `kill 15`, `die 137`, `health_status: healthy`. */
export async function toldOf(client: Client, id: string): Promise<string[]> {
  const lines: string[] = [];
  const filters = { container: [id] };
  for await (const line of client.events({
    since: "1",
    until: String((Date.now() + soonMs) / 1000),
    filters,
  })) {
    const { Action = "", Actor } = line as {
      Action?: string;
      Actor?: { Attributes?: Record<string, string> };
    };
    const { signal, exitCode } = Actor?.Attributes ?? {};
    lines.push([Action.trim(), signal ?? exitCode ?? ""].join(" ").trim());
  }
  return lines;
}
