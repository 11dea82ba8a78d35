/** `run` and `create`. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { type Command, errorText, type Invocation, write } from "#cli/flags/command.ts";
import { createFlags } from "#cli/flags/create-flags.ts";
import { createRequest } from "#cli/flags/create-request.ts";
import { FlagValues } from "#cli/flags/flag-values.ts";
import type { FlagSpec } from "#cli/flags/flags.ts";
import { parseKeyValueFile } from "#cli/flags/key-value-file.ts";
import { securityOptions } from "#cli/flags/security-flags.ts";
import { withImage } from "#cli/terminal/pull-image.ts";
import { runSession } from "#cli/terminal/session.ts";
import type { Client } from "#client/client.ts";
import type { CreateBody } from "#client/containers.ts";
import { Fault } from "#spec/fault.ts";

type StreamName = "stdin" | "stdout" | "stderr";

const runFlags: readonly FlagSpec[] = [
  ...createFlags,
  { name: "detach", short: "d", kind: "switch", help: "Run container in background and print container ID" },
  { name: "detach-keys", kind: "text", help: "Override the key sequence for detaching a container" },
  { name: "sig-proxy", kind: "switch", help: "Proxy received signals to the process (default true)" },
];
const usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]";

/** The streams that are asked for by name, or else those a session has. */
function wantedStreams({ flags }: Invocation): readonly StreamName[] {
  const asked = new FlagValues(flags, createFlags).each("attach", (name) => {
    const stream = name.toLowerCase();
    if (!["stdin", "stdout", "stderr"].includes(stream))
      throw new Fault("invalid", "valid streams are STDIN, STDOUT and STDERR");
    return stream as StreamName;
  });
  const outputs: readonly StreamName[] = asked.length > 0 ? asked : ["stdout", "stderr"];
  return flags.on("interactive") ? ["stdin", ...outputs.filter((each) => each !== "stdin")] : outputs;
}

function attachedStreams(o: Invocation): readonly StreamName[] {
  const wanted = wantedStreams(o);
  if (!o.flags.on("detach")) return wanted;
  if (o.flags.has("attach"))
    throw new Fault("invalid", "conflicting options: cannot specify both --attach and --detach");
  return [];
}

/** @returns The new container's id. */
async function create(o: Invocation, client: Client, attach: readonly StreamName[]): Promise<string> {
  const { flags, args, io } = o;
  const [image = "", ...command] = args;
  const body = await requestBody(o, image, command, attach);
  if (flags.has("kernel-memory"))
    await write(
      io.stderr,
      "Flag --kernel-memory has been deprecated, and no longer supported by the kernel\n",
    );
  const idFile = await openIdFile(flags.text("cidfile"));
  try {
    const platform = flags.text("platform") ?? io.env["DOCKER_DEFAULT_PLATFORM"];
    const pull = { when: flags.text("pull") ?? "missing", quiet: flags.on("quiet"), platform };
    const { Id, Warnings } = await withImage(
      io,
      client,
      image,
      pull,
      async () => await client.containers.create(body, { name: flags.text("name"), platform }),
    );
    for (const warning of Warnings ?? []) await write(io.stderr, `WARNING: ${warning}\n`);
    await idFile?.keep(Id);
    return Id;
  } catch (thrown) {
    await idFile?.drop();
    throw thrown;
  }
}

/** @throws Fault with `detail.options`: what is wrong is how the command was called. */
async function requestBody(
  { flags, io }: Invocation,
  image: string,
  command: readonly string[],
  attach: readonly StreamName[],
): Promise<CreateBody> {
  const size =
    flags.on("tty") && io.stdout.isTTY ? ([io.stdout.rows, io.stdout.columns] as const) : undefined;
  const readText = async (path: string) => await readFile(path, "utf8");
  try {
    return createRequest(flags, {
      ...{ image, command, attach, env: io.env, cwd: io.cwd, consoleSize: size },
      fileEnv: await fileLines(flags.list("env-file"), (key) => io.env[key]),
      fileLabels: await fileLines(flags.list("label-file"), () => undefined),
      security: await securityOptions(flags.list("security-opt"), readText),
    });
  } catch (thrown) {
    const { kind, message, detail } = Fault.from(thrown);
    throw new Fault(kind, message, { cause: thrown, detail: { ...detail, options: true } });
  }
}

async function fileLines(
  paths: readonly string[],
  lookUp: (key: string) => string | undefined,
): Promise<string[]> {
  const lines: string[] = [];
  for (const path of paths) lines.push(...parseKeyValueFile(await bytesOf(path), path, lookUp));
  return lines;
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    throw new Fault(
      "invalid",
      `open ${path}: ${missing ? "no such file or directory" : Fault.from(cause).message}`,
      { cause },
    );
  }
}

/** Taken before the container is made, so that two runs never share one. @throws Fault `invalid` when it is there. */
async function openIdFile(
  path: string | undefined,
): Promise<{ keep(id: string): Promise<void>; drop(): Promise<void> } | undefined> {
  if (path === undefined || path === "") return undefined;
  try {
    await writeFile(path, "", { flag: "wx" });
  } catch (cause) {
    const taken = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    throw new Fault(
      "invalid",
      taken
        ? `container ID file found, make sure the other container isn't running or delete ${path}`
        : `failed to create the container ID file: ${Fault.from(cause).message}`,
      { cause },
    );
  }
  return {
    keep: async (id) => await writeFile(path, id),
    drop: async () => await rm(path, { force: true }),
  };
}

const createCommand: Command = {
  usage,
  flags: createFlags,
  least: 1,
  interspersed: false,
  run: async (o) => {
    const id = await create(o, await o.client(), wantedStreams(o));
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
    return await runAttached(o, client, id, attach);
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

async function runAttached(
  o: Invocation,
  client: Client,
  id: string,
  attach: readonly StreamName[],
): Promise<number> {
  const { flags, io } = o;
  const tty = flags.on("tty");
  const [stdin, stdout, stderr] = (["stdin", "stdout", "stderr"] as const).map((each) =>
    attach.includes(each),
  ) as [boolean, boolean, boolean];
  const detachKeys = flags.text("detach-keys");
  await using stream = await client.containers.attach(id, { stdin, stdout, stderr, detachKeys });
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
