/** Commands that look into one thing. */
import { type CliIo, type Command, errorText, write } from "#cli/flags/command.ts";
import { platformJson } from "#cli/flags/platform-flag.ts";
import { hostPort } from "#cli/flags/port-text.ts";
import type { Client } from "#client/client.ts";
import type { ContainerInspect } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { compileTemplate } from "#spec/template.ts";

const lookups: Readonly<Record<string, (client: Client, name: string) => Promise<unknown>>> = {
  container: async (client, name) => await client.containers.inspect(name),
  image: async (client, name) => await client.images.inspect(name),
  network: async (client, name) => await client.networks.inspect(name),
  volume: async (client, name) => await client.volumes.inspect(name),
};

const allTypes = "config container image network node plugin secret service task volume".split(" ");

/** The first kind of thing that has the name. */
async function look(client: Client, name: string, type: string | undefined): Promise<unknown> {
  // Of one kind, the engine's own words say what is missing.
  if (type !== undefined && type !== "") return await lookups[type]?.(client, name);
  for (const lookup of Object.values(lookups)) {
    try {
      return await lookup(client, name);
    } catch (thrown) {
      if (Fault.from(thrown).kind !== "not-found") throw thrown;
    }
  }
  throw new Fault("not-found", `Error: No such object: ${name}`);
}

/** As docker, a failure ends the line it would have been on. */
async function printByTemplate(
  io: CliIo,
  template: (data: unknown) => string,
  found: readonly unknown[],
): Promise<void> {
  for (const each of found)
    try {
      await write(io.stdout, `${template(each)}\n`);
    } catch (thrown) {
      await write(io.stdout, "\n");
      throw thrown;
    }
}

/** Prints what was found as JSON, or by a template each; failures afterwards. @returns The exit code. */
export async function printObjects(
  o: Parameters<Command["run"]>[0],
  find: (name: string) => Promise<unknown>,
): Promise<number> {
  const { io, flags, args } = o;
  const format = flags.text("format");
  const template = format === undefined || format === "json" ? undefined : compileTemplate(format);
  const found: unknown[] = [];
  const failures: unknown[] = [];
  for (const name of args)
    await find(name).then(
      (each) => found.push(each),
      (thrown: unknown) => failures.push(thrown),
    );
  if (template !== undefined) await printByTemplate(io, template, found);
  else if (format === "json") await write(io.stdout, `${JSON.stringify(found)}\n`);
  else await write(io.stdout, `${JSON.stringify(found, undefined, 4)}\n`);
  for (const each of failures) await write(io.stderr, `${errorText(each)}\n`);
  return failures.length > 0 ? 1 : 0;
}

const inspect: Command = {
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  flags: [
    {
      name: "format",
      short: "f",
      kind: "text",
      help: "Format output using a custom template: 'json' or 'TEMPLATE'",
    },
    { name: "size", short: "s", kind: "switch", help: "Display total file sizes if the type is container" },
    { name: "type", kind: "text", help: "Only inspect objects of the given type" },
  ],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    const type = o.flags.text("type");
    if (type !== undefined && type !== "" && !allTypes.includes(type))
      throw new Fault(
        "invalid",
        `unknown type: ${JSON.stringify(type)}: must be one of ${allTypes.map((each) => JSON.stringify(each)).join(", ")}`,
      );
    if (type !== undefined && type !== "" && lookups[type] === undefined)
      throw new Fault("unsupported", `this engine has no ${type}s to inspect`);
    return await printObjects(o, async (name) => {
      if (o.flags.on("size") && (type === undefined || type === "container"))
        return await client.containers.inspect(name, { size: true });
      return await look(client, name, type);
    });
  },
};

const imageInspect: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [
    {
      name: "format",
      short: "f",
      kind: "text",
      help: "Format output using a custom template: 'json' or 'TEMPLATE'",
    },
    { name: "platform", kind: "text", help: "Inspect a specific platform of the multi-platform image" },
  ],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    const platform = platformJson(o.flags.text("platform"));
    return await printObjects(o, async (name) => await client.images.inspect(name, { platform }));
  },
};

function portLines(
  ports: ContainerInspect["NetworkSettings"]["Ports"],
  wanted: string | undefined,
): string[] {
  const key = wanted === undefined || wanted.includes("/") ? wanted : `${wanted}/tcp`;
  return Object.entries(ports ?? {}).flatMap(([port, bindings]) =>
    key !== undefined && key !== port
      ? []
      : (bindings ?? []).map(
          ({ HostIp = "", HostPort = "" }) =>
            `${key === undefined ? `${port} -> ` : ""}${hostPort(HostIp, HostPort)}`,
        ),
  );
}

const port: Command = {
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  flags: [],
  least: 1,
  most: 2,
  run: async (o) => {
    const [name = "", wanted] = o.args;
    const { NetworkSettings } = await (await o.client()).containers.inspect(name);
    const lines = portLines(NetworkSettings.Ports, wanted);
    if (lines.length === 0 && wanted !== undefined)
      throw new Fault("not-found", `Error: No public port '${wanted}' published for ${name}`);
    await write(o.io.stdout, lines.map((line) => `${line}\n`).join(""));
    return 0;
  },
};

const containerInspect: Command = {
  ...inspect,
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: inspect.flags.filter(({ name }) => name !== "type"),
  run: async (o) => {
    const client = await o.client();
    const size = o.flags.on("size");
    return await printObjects(o, async (name) => await client.containers.inspect(name, { size }));
  },
};

export const commands: Readonly<Record<string, Command>> = {
  inspect,
  "container inspect": containerInspect,
  "image inspect": imageInspect,
  port,
};
