/** Commands that show what processes write, and write to them. */
import { type Command, forEach, type Invocation, write } from "#cli/flags/command.ts";
import { apiTime } from "#cli/flags/units.ts";
import { parseKeys } from "#cli/terminal/detach-keys.ts";
import { runSession } from "#cli/terminal/session.ts";
import type { Client } from "#client/client.ts";
import { Fault } from "#spec/fault.ts";
import { FrameDecoder } from "#spec/frames.ts";

const logs: Command = {
  usage: "[OPTIONS] CONTAINER",
  flags: [
    { name: "details", kind: "switch", help: "Show extra details provided to logs" },
    { name: "follow", short: "f", kind: "switch", help: "Follow log output" },
    {
      name: "since",
      kind: "text",
      help: 'Show logs since timestamp or relative (e.g. "42m" for 42 minutes)',
    },
    {
      name: "tail",
      short: "n",
      kind: "text",
      help: 'Number of lines to show from the end of the logs (default "all")',
    },
    { name: "timestamps", short: "t", kind: "switch", help: "Show timestamps" },
    { name: "until", kind: "text", help: "Show logs before a timestamp or relative" },
  ],
  least: 1,
  most: 1,
  run: async ({ args, client, flags, io, nowMs }) => {
    const [name = ""] = args;
    const engine = await client();
    const { Config } = await engine.containers.inspect(name);
    const time = (flag: "since" | "until"): string | undefined => logTime(flag, flags.text(flag), nowMs());
    const { body } = await engine.containers.logs(name, {
      follow: flags.on("follow"),
      timestamps: flags.on("timestamps"),
      details: flags.on("details"),
      since: time("since"),
      until: time("until"),
      tail: flags.text("tail") ?? "all",
    });
    const decoder = Config.Tty === true ? undefined : new FrameDecoder();
    for await (const bytes of body) {
      if (decoder === undefined) await write(io.stdout, bytes);
      else
        for (const frame of decoder.push(bytes))
          await write(frame.stream === "stderr" ? io.stderr : io.stdout, frame.bytes);
    }
    return 0;
  },
};

function logTime(flag: string, text: string | undefined, nowMs: number): string | undefined {
  try {
    return text === undefined || text === "" ? undefined : apiTime(text, nowMs);
  } catch (cause) {
    throw new Fault("invalid", `invalid value for "${flag}": ${Fault.from(cause).message}`, { cause });
  }
}

const attachFlags = [
  { name: "detach-keys", kind: "text", help: "Override the key sequence for detaching a container" },
  { name: "sig-proxy", kind: "switch", help: "Proxy all received signals to the process (default true)" },
] as const;

const attach: Command = {
  usage: "[OPTIONS] CONTAINER",
  flags: [...attachFlags, { name: "no-stdin", kind: "switch", help: "Do not attach STDIN" }],
  least: 1,
  most: 1,
  run: async (o) => {
    const client = await o.client();
    const [name = ""] = o.args;
    const { Config, Id, State } = await client.containers.inspect(name);
    if (!State.Running) throw new Fault("conflict", "cannot attach to a stopped container, start it first");
    if (State.Paused) throw new Fault("conflict", "cannot attach to a paused container, unpause it first");
    const stdin = Config.OpenStdin === true && !o.flags.on("no-stdin");
    return await session(o, client, Id, { tty: Config.Tty === true, stdin });
  },
};

/** @returns The container's exit code, or 0 when the keys to detach were typed. */
async function session(
  { flags, io }: Invocation,
  client: Client,
  id: string,
  o: { readonly tty: boolean; readonly stdin: boolean; readonly start?: boolean },
): Promise<number> {
  await using stream = await client.containers.attach(id, {
    stdin: o.stdin,
    detachKeys: flags.text("detach-keys"),
  });
  const { exit } = await client.containers.wait(id, o.start === true ? "next-exit" : "not-running");
  exit.catch(() => undefined);
  // One that ended meanwhile would be waited for until its next run.
  if (o.start !== true && !(await client.containers.inspect(id)).State.Running)
    throw new Fault("conflict", "cannot attach to a stopped container, start it first");
  const running = runSession(io, stream, {
    tty: o.tty,
    stdin: o.stdin,
    detachKeys: parseKeys(flags.text("detach-keys")),
    resize: async (size) => await client.containers.resize(id, size),
    ...(flags.text("sig-proxy") !== "false" && {
      signal: async (name) => await client.containers.kill(id, name),
    }),
  });
  running.catch(() => undefined);
  if (o.start === true) await client.containers.start(id);
  if ((await running) === "detached") return 0;
  return (await exit).StatusCode;
}

const start: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: [
    { name: "attach", short: "a", kind: "switch", help: "Attach STDOUT/STDERR and forward signals" },
    { name: "interactive", short: "i", kind: "switch", help: "Attach container's STDIN" },
    ...attachFlags,
  ],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    const interactive = o.flags.on("interactive");
    if (!o.flags.on("attach") && !interactive)
      return await forEach(o, async (name) => void (await client.containers.start(name)));
    const [name = "", ...more] = o.args;
    if (more.length > 0)
      throw new Fault("invalid", "you cannot start and attach multiple containers at once");
    const { Config, Id } = await client.containers.inspect(name);
    const stdin = interactive && Config.OpenStdin === true;
    return await session(o, client, Id, { tty: Config.Tty === true, stdin, start: true });
  },
};

export const commands: Readonly<Record<string, Command>> = { logs, attach, start };
