/** Processes beside a container's first one: run, and, beyond docker, ended. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type CliIo, type Command, forEach } from "#cli/flags/command.ts";
import type { Flags } from "#cli/flags/flags.ts";
import { parseKeyValueFile } from "#cli/flags/key-value-file.ts";
import { parseKeys } from "#cli/terminal/detach-keys.ts";
import { runSession } from "#cli/terminal/session.ts";
import { Fault } from "#spec/fault.ts";

const exec: Command = {
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  flags: [
    { name: "detach", short: "d", kind: "switch", help: "Detached mode: run command in the background" },
    { name: "detach-keys", kind: "text", help: "Override the key sequence for detaching a container" },
    { name: "env", short: "e", kind: "list", help: "Set environment variables" },
    { name: "env-file", kind: "list", help: "Read in a file of environment variables" },
    { name: "interactive", short: "i", kind: "switch", help: "Keep STDIN open even if not attached" },
    { name: "privileged", kind: "switch", help: "Give extended privileges to the command" },
    { name: "tty", short: "t", kind: "switch", help: "Allocate a pseudo-TTY" },
    { name: "user", short: "u", kind: "text", help: 'Username or UID (format: "<name|uid>[:<group|gid>]")' },
    { name: "workdir", short: "w", kind: "text", help: "Working directory inside the container" },
  ],
  least: 2,
  interspersed: false,
  run: async ({ args, client, flags, io }) => {
    const [name = "", ...command] = args;
    const [tty, stdin, detach] = [flags.on("tty"), flags.on("interactive"), flags.on("detach")];
    if (tty && stdin && !io.stdin.isTTY) throw new Fault("invalid", "the input device is not a TTY");
    const detachKeys = parseKeys(flags.text("detach-keys"));
    const engine = await client();
    const env = await environment(flags, io);
    const [user, workdir] = [flags.text("user"), flags.text("workdir")];
    const id = await engine.containers.createExec(name, {
      Cmd: command,
      AttachStdin: stdin && !detach,
      AttachStdout: !detach,
      AttachStderr: !detach,
      Tty: tty,
      Env: env,
      Privileged: flags.on("privileged"),
      DetachKeys: flags.text("detach-keys") ?? "",
      ...(user !== undefined && { User: user }),
      ...(workdir !== undefined && { WorkingDir: workdir }),
    });
    if (detach) {
      await engine.containers.startExecDetached(id);
      return 0;
    }
    const size = tty && io.stdout.isTTY ? ([io.stdout.rows, io.stdout.columns] as const) : undefined;
    await using stream = await engine.containers.startExec(id, { tty, size });
    const ended = await runSession(io, stream, {
      tty,
      stdin,
      detachKeys,
      resize: async (each) => await engine.containers.resizeExec(id, each),
    });
    if (ended === "detached") throw new Fault("cancelled", "read escape sequence");
    return (await engine.containers.inspectExec(id)).ExitCode ?? 0;
  },
};

/** Files first, so that what is given by itself wins. */
async function environment(flags: Flags, io: CliIo): Promise<string[]> {
  const lookUp = (key: string) => io.env[key];
  const files = await Promise.all(
    flags
      .list("env-file")
      .map(async (path) => parseKeyValueFile(await readFile(resolve(io.cwd, path)), path, lookUp)),
  );
  const given = flags.list("env").flatMap((each) => {
    const value = io.env[each];
    return each.includes("=") ? [each] : value === undefined ? [] : [`${each}=${value}`];
  });
  return [...files.flat(), ...given];
}

const kill: Command = {
  usage: "[OPTIONS] EXEC [EXEC...]",
  flags: [
    {
      name: "signal",
      short: "s",
      kind: "text",
      help: "Signal to send to the exec and what it started (default SIGKILL)",
    },
  ],
  least: 1,
  run: async (o) => {
    const { containers } = await o.client();
    const signal = o.flags.text("signal") ?? "SIGKILL";
    return await forEach(o, async (id) => void (await containers.killExec(id, signal)));
  },
};

export const commands: Readonly<Record<string, Command>> = { exec, kill };
