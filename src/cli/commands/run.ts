/** `run` and `create`. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { type Command, errorText, type Invocation, write } from "#cli/command.ts";
import { createFlags, createRequest } from "#cli/create-request.ts";
import type { FlagSpec } from "#cli/flags.ts";
import { runSession } from "#cli/session.ts";
import type { Client } from "#client/client.ts";
import { Fault } from "#spec/fault.ts";

type StreamName = "stdin" | "stdout" | "stderr";

const runFlags: readonly FlagSpec[] = [
  ...createFlags,
  { name: "detach", short: "d", kind: "switch", help: "Run container in background and print container ID" },
  { name: "detach-keys", kind: "text", help: "Override the key sequence for detaching a container" },
  { name: "sig-proxy", kind: "switch", help: "Proxy received signals to the process (default true)" },
];
const usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]";

function attachedStreams(o: Invocation): readonly StreamName[] {
  const asked = o.flags.list("attach").map((name) => name.toLowerCase());
  const wrong = asked.find((name) => !["stdin", "stdout", "stderr"].includes(name));
  if (wrong !== undefined)
    throw new Fault(
      "invalid",
      `invalid argument ${JSON.stringify(wrong)} for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR`,
    );
  if (o.flags.on("detach")) {
    if (asked.length > 0)
      throw new Fault("invalid", "conflicting options: cannot specify both --attach and --detach");
    return [];
  }
  if (asked.length > 0) return asked as StreamName[];
  return o.flags.on("interactive") ? ["stdin", "stdout", "stderr"] : ["stdout", "stderr"];
}

/** @returns The new container's id. */
async function create(o: Invocation, client: Client, attach: readonly StreamName[]): Promise<string> {
  const { flags, args, io } = o;
  const [image = "", ...command] = args;
  const cidFile = flags.text("cidfile");
  if (cidFile !== undefined && existsSync(cidFile))
    throw new Fault(
      "invalid",
      `container ID file found, make sure the other container isn't running or delete ${cidFile}`,
    );
  const envFiles = await Promise.all(
    flags.list("env-file").map(async (path) => await readFile(path, "utf8")),
  );
  const size =
    flags.on("tty") && io.stdout.isTTY ? ([io.stdout.rows, io.stdout.columns] as const) : undefined;
  const body = createRequest(flags, { image, command, env: io.env, envFiles, attach, consoleSize: size });
  try {
    const { Id, Warnings } = await client.containers.create(body, {
      name: flags.text("name"),
      platform: flags.text("platform"),
    });
    for (const warning of Warnings ?? []) await write(io.stderr, `WARNING: ${warning}\n`);
    if (cidFile !== undefined) await writeFile(cidFile, Id);
    return Id;
  } catch (thrown) {
    const fault = Fault.from(thrown);
    if (fault.kind === "not-found" && fault.message.startsWith("No such image"))
      await write(
        io.stderr,
        `Unable to find image '${image.includes(":") ? image : `${image}:latest`}' locally\n`,
      );
    throw thrown;
  }
}

const createCommand: Command = {
  usage,
  flags: createFlags,
  least: 1,
  interspersed: false,
  run: async (o) => {
    const id = await create(o, await o.client(), []);
    await write(o.io.stdout, `${id}\n`);
    return 0;
  },
};

const run: Command = {
  usage,
  flags: runFlags,
  least: 1,
  interspersed: false,
  failureCode: 125,
  run: async (o) => {
    const attach = attachedStreams(o);
    if (attach.includes("stdin") && o.flags.on("tty") && !o.io.stdin.isTTY)
      throw new Fault("invalid", "the input device is not a TTY");
    const client = await o.client();
    const id = await create(o, client, attach);
    if (attach.length === 0) {
      await startOrRemove(o, client, id);
      await write(o.io.stdout, `${id}\n`);
      return 0;
    }
    return await runAttached(o, client, id, attach.includes("stdin"));
  },
};

/** A container that cannot start and was to remove itself does not stay. */
async function startOrRemove({ flags }: Invocation, client: Client, id: string): Promise<void> {
  try {
    await client.containers.start(id);
  } catch (thrown) {
    if (flags.on("rm"))
      await client.containers.remove(id, { force: true, volumes: true }).catch(() => undefined);
    throw thrown;
  }
}

async function runAttached(o: Invocation, client: Client, id: string, stdin: boolean): Promise<number> {
  const { flags, io } = o;
  const tty = flags.on("tty");
  await using stream = await client.containers.attach(id, { stdin, detachKeys: flags.text("detach-keys") });
  const { exit } = await client.containers.wait(id, flags.on("rm") ? "removed" : "next-exit");
  exit.catch(() => undefined);
  const proxies = flags.text("sig-proxy") !== "false";
  const starting = startOrRemove(o, client, id);
  starting.catch(() => undefined);
  const session = runSession(io, stream, {
    tty,
    stdin,
    resize: async (size) => await client.containers.resize(id, size),
    ...(proxies && { signal: async (name) => await client.containers.kill(id, name) }),
  });
  session.catch(() => undefined);
  await starting;
  if ((await session) === "detached") return 0;
  const { StatusCode, Error: failure } = await exit;
  if (failure?.Message) await write(io.stderr, `${errorText(new Fault("internal", failure.Message))}\n`);
  return StatusCode;
}

export const commands: Readonly<Record<string, Command>> = { run, create: createCommand };
