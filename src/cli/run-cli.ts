/**
 * One call of the command line: which command it is, its flags, its exit code.
 * Owns: usage, help and how failures are told. Never: ends the process.
 */
import { Client } from "#client/client.ts";
import { Fault } from "#spec/fault.ts";
import { commandGroups, groupOf, resolveCommand } from "./command-table.ts";
import { type CliIo, type Command, errorText, type Invocation, write } from "./flags/command.ts";
import { type FlagSpec, type Flags, parseFlags } from "./flags/flags.ts";
import { commandHelp, groupHelp, overview, program, usageLine } from "./help.ts";
import { enginePlace, placeFlags } from "./place/engine-place.ts";

const globalFlags: readonly FlagSpec[] = [
  ...placeFlags,
  { name: "version", short: "v", kind: "switch", help: "Print version information and quit" },
  { name: "help", kind: "switch", short: "h", help: "Print usage" },
];
const helpFlag: FlagSpec = { name: "help", short: "h", kind: "switch", help: "Print usage" };

/** @returns The exit code. */
export async function runCli(args: readonly string[], io: CliIo, version: string): Promise<number> {
  let parsed: ReturnType<typeof parseFlags>;
  try {
    parsed = parseFlags(args, globalFlags, { interspersed: false });
  } catch (thrown) {
    await write(io.stderr, `${Fault.from(thrown).message}\nSee '${program} --help'.\n`);
    return 125;
  }
  const { flags, rest } = parsed;
  if (flags.on("version")) {
    await write(io.stdout, `wherry version ${version}\n`);
    return 0;
  }
  const words = rest[0] === "help" ? [...rest.slice(1), "--help"] : rest;
  const [first = ""] = words;
  if (first === "__complete" || first === "__complete-line") {
    await write(io.stdout, await completions(words, io));
    return 0;
  }
  if (words.length === 0 || words[0] === "--help") {
    await write(io.stdout, overview(globalFlags, io.stdout.columns));
    return 0;
  }
  const found = resolveCommand(words);
  if (found === undefined) return await noCommand(words, io);
  const command = await found.entry.load();
  return await runCommand(command, found, { io, flags, version });
}

/** A group alone is asked about; anything else is a mistake. */
async function noCommand(words: readonly string[], io: CliIo): Promise<number> {
  const found = groupOf(words);
  if (found !== undefined && (found.verb === undefined || found.verb === "--help")) {
    await write(found.verb === undefined ? io.stderr : io.stdout, groupHelp(found.group));
    return 0;
  }
  const [first = "", second = ""] = words;
  const group = found?.group ?? (commandGroups[first] === undefined ? undefined : first);
  const help = group === undefined ? program : `${program} ${group}`;
  const called = group === undefined ? first : (found?.verb ?? second);
  const usage = group === undefined ? "" : `Usage:  ${help}\n\n`;
  await write(
    io.stderr,
    `${program}: unknown command: ${help} ${called}\n\n${usage}Run '${help} --help' for more information\n`,
  );
  return 1;
}

/** Asked by the scripts of `completion`, with the words behind the program's name or the whole line. */
async function completions([how, ...words]: readonly string[], io: CliIo): Promise<string> {
  const { complete } = await import("./complete.ts");
  const { wordsOf } = await import("./command-line-words.ts");
  const typed = how === "__complete" ? words : wordsOf(words[0] ?? "").slice(1);
  return await complete(typed, globalFlags, io, async (flags) => await enginePlace(flags, io));
}

async function runCommand(
  command: Command,
  {
    name,
    called,
    args,
  }: { readonly name: string; readonly called: string; readonly args: readonly string[] },
  o: { readonly io: CliIo; readonly flags: Flags; readonly version: string },
): Promise<number> {
  const { io } = o;
  const code = command.failureCode ?? 1;
  let parsed: ReturnType<typeof parseFlags>;
  try {
    parsed = parseFlags(
      args,
      [
        ...command.flags,
        ...(command.flags.some(({ short }) => short === "h") ? [{ ...helpFlag, short: "" }] : [helpFlag]),
      ],
      {
        interspersed: command.interspersed ?? true,
      },
    );
  } catch (thrown) {
    return await refuseFlags(io, called, command, Fault.from(thrown).message);
  }
  if (parsed.flags.on("help")) {
    await write(io.stdout, commandHelp(command, name, called, io.stdout.columns));
    return 0;
  }
  const count = parsed.rest.length;
  if (count < command.least || count > (command.most ?? Number.POSITIVE_INFINITY)) {
    await write(
      io.stderr,
      `${program}: '${program} ${called}' ${wantedArguments(command)}\n\n${usageLine(command, called)}\n\n${command.most === undefined ? "See" : "Run"} '${program} ${called} --help' for more information\n`,
    );
    return 1;
  }
  let client: Promise<Client> | undefined;
  const connect = (): Promise<Client> => {
    client ??= enginePlace(o.flags, io).then(
      async (place) => await Client.connect({ ...place, version: io.env["DOCKER_API_VERSION"] }),
    );
    return client;
  };
  const invocation: Invocation = {
    io,
    flags: parsed.flags,
    globals: o.flags,
    args: parsed.rest,
    client: connect,
    nowMs: () => Date.now(),
  };
  try {
    return await command.run(invocation);
  } catch (thrown) {
    const text = errorText(thrown);
    const { detail } = Fault.from(thrown);
    if (detail["usage"] === true) return await refuseFlags(io, called, command, text);
    const failureCode = detail["options"] === true ? 125 : code;
    await write(
      io.stderr,
      failureCode === 125
        ? `${program}: ${text}\n\nRun '${program} ${called} --help' for more information\n`
        : `${text}\n`,
    );
    return exitCodeOf(thrown, failureCode);
  }
}

async function refuseFlags(io: CliIo, called: string, command: Command, reason: string): Promise<number> {
  await write(
    io.stderr,
    `${reason}\n\n${usageLine(command, called)}\n\nRun '${program} ${called} --help' for more information\n`,
  );
  return 125;
}

/** A start that failed for want of the command ends as a shell would. */
function exitCodeOf(thrown: unknown, code: number): number {
  if (code !== 125) return code;
  const { message } = Fault.from(thrown);
  if (
    /executable file not found|no such file or directory: unknown|: no such file or directory/.test(
      message,
    ) &&
    message.includes("exec")
  )
    return 127;
  if (
    /permission denied|is a directory|not a directory|exec format error/.test(message) &&
    message.includes("exec")
  )
    return 126;
  return code;
}

function wantedArguments({ least, most }: Command): string {
  const plural = (count: number) => `${count} argument${count === 1 ? "" : "s"}`;
  if (most === 0) return "accepts no arguments";
  if (most === least) return `requires ${plural(least)}`;
  if (most === undefined) return `requires at least ${plural(least)}`;
  return least === 0
    ? `requires at most ${plural(most)}`
    : `requires at least ${least} and at most ${plural(most)}`;
}
