/** What a command is, and what it gets when it runs. */
import type { Client } from "#client/client.ts";
import { Fault } from "#spec/fault.ts";
import type { FlagSpec, Flags } from "./flags.ts";

/** The world outside, handed in by the program. */
export interface CliIo {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Calls `handler` for every signal of these names until disposed. */
  onSignals(names: readonly string[], handler: (name: string) => void): Disposable;
}

export interface Invocation {
  readonly io: CliIo;
  readonly flags: Flags;
  /** Those before the command's name. */
  readonly globals: Flags;
  readonly args: readonly string[];
  /** Connected at the first call. */
  readonly client: () => Promise<Client>;
  readonly nowMs: () => number;
}

export interface Command {
  /** Behind the command's name: `[OPTIONS] CONTAINER [CONTAINER...]`. */
  readonly usage: string;
  readonly flags: readonly FlagSpec[];
  /** How many arguments it takes. */
  readonly least: number;
  readonly most?: number;
  /** False when the first argument ends the flags. @default true */
  readonly interspersed?: boolean;
  /** The exit code of everything that fails before a process runs. @default 1 */
  readonly failureCode?: number;
  /** @returns The exit code. */
  run(invocation: Invocation): Promise<number>;
}

export function write(stream: NodeJS.WriteStream, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) resolve();
    else stream.write(text, () => resolve());
  });
}

/** Does something with each argument, saying its name; goes on after a failure. */
export async function forEach(
  { io, args }: Invocation,
  work: (name: string) => Promise<string | undefined>,
): Promise<number> {
  let failed = false;
  for (const name of args) {
    try {
      await write(io.stdout, `${(await work(name)) ?? name}\n`);
    } catch (thrown) {
      failed = true;
      await write(io.stderr, `${errorText(thrown)}\n`);
    }
  }
  return failed ? 1 : 0;
}

/** What the docker CLI would print, without a program's name in front. */
export function errorText(thrown: unknown): string {
  const fault = Fault.from(thrown);
  return fault.detail["status"] === undefined
    ? fault.message
    : `Error response from daemon: ${fault.message}`;
}

/** `--filter key=value …`. @throws Fault `invalid`. */
export function filtersOf(texts: readonly string[]): Record<string, string[]> {
  const filters: Record<string, string[]> = {};
  for (const text of texts) {
    const at = text.indexOf("=");
    if (at < 0)
      throw new Fault(
        "invalid",
        `invalid argument ${JSON.stringify(text)} for "-f, --filter" flag: bad format of filter (expected name=value)`,
        { detail: { usage: true } },
      );
    const [key, value] = [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()];
    filters[key] = [...(filters[key] ?? []), value];
  }
  return filters;
}

export const filterFlag: FlagSpec = {
  name: "filter",
  short: "f",
  kind: "list",
  value: "filter",
  help: "Filter output based on conditions provided",
};
export const formatFlag: FlagSpec = {
  name: "format",
  kind: "text",
  help: "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'",
};
export const quietFlag: FlagSpec = { name: "quiet", short: "q", kind: "switch", help: "Only display IDs" };
export const noTruncFlag: FlagSpec = { name: "no-trunc", kind: "switch", help: "Don't truncate output" };
