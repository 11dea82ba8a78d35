/** `why`: one page on why a container is in the state it is in. */

import { type WhyFacts, whyPage } from "#cli/build/why-page.ts";
import { type Command, write } from "#cli/flags/command.ts";
import type { Client } from "#client/client.ts";
import type { ContainerInspect } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { FrameDecoder } from "#spec/frames.ts";

const why: Command = {
  usage: "[OPTIONS] CONTAINER",
  flags: [
    {
      name: "tail",
      short: "n",
      kind: "text",
      value: "int",
      help: "Number of lines of output to show (default 10)",
    },
  ],
  least: 1,
  most: 1,
  run: async ({ args, client, flags, io, nowMs }) => {
    const tail = flags.text("tail") ?? "10";
    if (!/^\d+$/.test(tail))
      throw new Fault("invalid", `invalid argument "${tail}" for "-n, --tail" flag: want a number of lines`);
    const [name = ""] = args;
    await write(io.stdout, whyPage(await factsOf(await client(), name, tail), nowMs()));
    return 0;
  },
};

async function factsOf(client: Client, name: string, tail: string): Promise<WhyFacts> {
  const container = await client.containers.inspect(name);
  const [image, named, donors, logs] = await Promise.all([
    present(client.images.inspect(container.Image)),
    present(client.images.inspect(container.Config.Image ?? "")),
    Promise.all(donorsOf(container).map(async (id) => await donor(client, id))),
    lastLines(client, container, tail),
  ]);
  return { container, image, named, donors, logs };
}

/** Undefined for what is not there. */
async function present<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking;
  } catch (thrown) {
    if (Fault.from(thrown).kind === "not-found") return undefined;
    throw thrown;
  }
}

function donorsOf({ HostConfig: { NetworkMode, PidMode, IpcMode } }: ContainerInspect): string[] {
  const named = [NetworkMode, PidMode, IpcMode].flatMap((mode) => {
    const id = /^container:(.+)$/.exec(mode ?? "")?.[1];
    return id === undefined ? [] : [id];
  });
  return [...new Set(named)];
}

async function donor(client: Client, id: string): Promise<WhyFacts["donors"][number]> {
  const found = await present(client.containers.inspect(id));
  return found === undefined ? { name: id.slice(0, 12) } : { name: found.Name.slice(1), state: found.State };
}

async function lastLines(
  client: Client,
  { Id, Config }: ContainerInspect,
  tail: string,
): Promise<readonly string[] | string> {
  try {
    const { body } = await client.containers.logs(Id, { tail });
    const decoder = new FrameDecoder();
    const parts: Uint8Array[] = [];
    for await (const chunk of body)
      if (Config.Tty === true) parts.push(chunk);
      else parts.push(...decoder.push(chunk).map(({ bytes }) => bytes));
    const text = Buffer.concat(parts).toString().trimEnd();
    return text === "" ? [] : text.split("\n");
  } catch (thrown) {
    return `not to be had: ${Fault.from(thrown).message}`;
  }
}

export const commands: Readonly<Record<string, Command>> = { why };
