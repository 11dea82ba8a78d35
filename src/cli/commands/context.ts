/** `context`: engines by name. None of these asks an engine. */
import { type Command, errorText, forEach, formatFlag, type Invocation, write } from "#cli/flags/command.ts";
import { packContext, unpackContext } from "#cli/place/context-archive.ts";
import { endpointOf, parseEndpoint, type WholeContext, wholeContext } from "#cli/place/context-endpoint.ts";
import { Contexts, checkContextName, defaultContext, dockerEndpoint } from "#cli/place/contexts.ts";
import { readDockerConfig, writeDockerConfig } from "#cli/place/docker-config.ts";
import { contextName, hostVariable } from "#cli/place/engine-place.ts";
import { readInput } from "#cli/terminal/input-file.ts";
import { writeNewFile } from "#cli/terminal/output-file.ts";
import { formatRows } from "#cli/terminal/rows.ts";
import { ellipsis } from "#cli/terminal/table.ts";
import { Fault } from "#spec/fault.ts";
import { printObjects } from "./inspect.ts";

const errorCells = 45;
const endpointFlag = {
  name: "docker",
  kind: "list",
  value: "stringToString",
  help: "set the docker endpoint: from, host, ca, cert, key, skip-tls-verify as key=value,... (default [])",
} as const;
const descriptionFlag = { name: "description", kind: "text", help: "Description of the context" } as const;

const create: Command = {
  usage: "[OPTIONS] CONTEXT",
  flags: [
    descriptionFlag,
    endpointFlag,
    { name: "from", kind: "text", help: "create context from a named context" },
  ],
  least: 1,
  most: 1,
  run: async (o) => {
    const { args, flags, io } = o;
    const [name = ""] = args;
    await refuseTaken(o, name);
    if (flags.has("from") && flags.has("docker"))
      throw new Fault("invalid", "cannot use --docker flag when --from is set");
    const { meta, tls } = flags.has("docker") ? await described(o) : await copied(o);
    const description = flags.text("description");
    const Metadata = { ...meta.Metadata, ...(description !== undefined && { Description: description }) };
    await new Contexts(io).put({ ...meta, Name: name, Metadata }, tls);
    await write(io.stdout, `${name}\n`);
    await write(io.stderr, `Successfully created context ${JSON.stringify(name)}\n`);
    return 0;
  },
};

async function refuseTaken({ io }: Invocation, name: string): Promise<void> {
  checkContextName(name);
  if (await new Contexts(io).has(name))
    throw new Fault("conflict", `context ${JSON.stringify(name)} already exists`);
}

async function described({ flags, globals, io }: Invocation): Promise<WholeContext> {
  const { endpoint, tls } = await endpointOf(parseEndpoint(flags.list("docker")), globals, io);
  return { meta: { Name: "", Metadata: {}, Endpoints: { [dockerEndpoint]: endpoint } }, tls };
}

async function copied({ flags, globals, io }: Invocation): Promise<WholeContext> {
  return await wholeContext(flags.text("from") || (await contextName(globals, io)), globals, io);
}

const update: Command = {
  usage: "[OPTIONS] CONTEXT",
  flags: [descriptionFlag, endpointFlag],
  least: 1,
  most: 1,
  run: async ({ args, flags, globals, io }) => {
    const [name = ""] = args;
    checkContextName(name);
    const contexts = new Contexts(io);
    const known = await contexts.get(name);
    const description = flags.text("description");
    const made = flags.has("docker")
      ? await endpointOf(parseEndpoint(flags.list("docker")), globals, io)
      : undefined;
    const meta = {
      ...known,
      Metadata: { ...known.Metadata, ...(description !== undefined && { Description: description }) },
      Endpoints: { ...known.Endpoints, ...(made !== undefined && { [dockerEndpoint]: made.endpoint }) },
    };
    await contexts.put(meta, made?.tls);
    await write(io.stdout, `${name}\n`);
    await write(io.stderr, `Successfully updated context ${JSON.stringify(name)}\n`);
    return 0;
  },
};

const headers = {
  Current: "CURRENT",
  Description: "DESCRIPTION",
  DockerEndpoint: "DOCKER ENDPOINT",
  Error: "ERROR",
  Name: "NAME",
} as const;
const columns = (["Name", "Description", "DockerEndpoint", "Error"] as const).map((field) => ({
  field,
  header: headers[field],
}));

const ls: Command = {
  usage: "[OPTIONS]",
  flags: [formatFlag, { name: "quiet", short: "q", kind: "switch", help: "Only show context names" }],
  least: 0,
  most: 0,
  run: async ({ flags, globals, io }) => {
    const current = await contextName(globals, io);
    const known = await new Contexts(io).list();
    const metas = [(await wholeContext(defaultContext, globals, io)).meta, ...known];
    const rows = metas.map(({ Name, Metadata, Endpoints }) => ({
      Current: Name === current,
      Description: Metadata.Description ?? "",
      DockerEndpoint: Endpoints[dockerEndpoint]?.Host ?? "",
      Error: "",
      Name,
    }));
    if (!rows.some(({ Current }) => Current)) rows.push(await missing(current, io));
    rows.sort((a, b) => a.Name.localeCompare(b.Name, "en", { numeric: true }));
    const format = flags.text("format");
    const marked = (format ?? "table") === "table";
    const text = flags.on("quiet")
      ? rows.map(({ Name }) => `${Name}\n`).join("")
      : formatRows(
          rows.map((row) => ({ ...row, Name: marked && row.Current ? `${row.Name} *` : row.Name })),
          columns,
          { format, headers },
        );
    await write(io.stdout, text);
    await warnOfHost({ io, what: "a context", chosen: globals.has("context") });
    return 0;
  },
};

/** One that is in use and not there. */
async function missing(name: string, io: Invocation["io"]) {
  const reason = await new Contexts(io).get(name).then(
    () => "",
    (thrown: unknown) => errorText(thrown),
  );
  const row = { Current: true, Description: "", DockerEndpoint: "", Error: "", Name: name };
  return { ...row, Error: ellipsis(reason, errorCells) };
}

async function warnOfHost({
  io,
  what,
  chosen,
}: {
  readonly io: Invocation["io"];
  readonly what: string;
  readonly chosen: boolean;
}): Promise<void> {
  const variable = hostVariable(io);
  if (variable === undefined || chosen) return;
  await write(
    io.stderr,
    `Warning: ${variable} environment variable overrides the active context. To use ${what}, either set the global --context flag, or unset ${variable} environment variable.\n`,
  );
}

const use: Command = {
  usage: "CONTEXT",
  flags: [],
  least: 1,
  most: 1,
  run: async ({ args, io }) => {
    const [name = ""] = args;
    if (name !== defaultContext) {
      checkContextName(name);
      await new Contexts(io).get(name);
    }
    const { currentContext: _, ...rest } = await readDockerConfig(io);
    await writeDockerConfig(io, name === defaultContext ? rest : { ...rest, currentContext: name });
    await write(io.stdout, `${name}\n`);
    await write(io.stderr, `Current context is now ${JSON.stringify(name)}\n`);
    await warnOfHost({ io, what: JSON.stringify(name), chosen: name === defaultContext });
    return 0;
  },
};

const show: Command = {
  usage: "",
  flags: [],
  least: 0,
  most: 0,
  run: async ({ globals, io }) => {
    const name = await contextName(globals, io);
    if (name !== defaultContext) await new Contexts(io).get(name);
    await write(io.stdout, `${name}\n`);
    return 0;
  },
};

const inspect: Command = {
  usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
  flags: [
    {
      name: "format",
      short: "f",
      kind: "text",
      help: "Format output using a custom template: 'json' or 'TEMPLATE'",
    },
  ],
  least: 0,
  run: async (invocation) => {
    const { args, globals, io } = invocation;
    const names = args.length > 0 ? args : [await contextName(globals, io)];
    const contexts = new Contexts(io);
    return await printObjects({ ...invocation, args: names }, async (name) => {
      const { meta, tls } = await wholeContext(name, globals, io);
      const places = contexts.placesOf(name);
      const inMemory = name === defaultContext ? "<IN MEMORY>" : undefined;
      return {
        ...meta,
        TLSMaterial: tls.size === 0 ? {} : { [dockerEndpoint]: [...tls.keys()] },
        Storage: { MetadataPath: inMemory ?? places.meta, TLSPath: inMemory ?? places.tls },
      };
    });
  },
};

const rm: Command = {
  usage: "CONTEXT [CONTEXT...]",
  flags: [{ name: "force", short: "f", kind: "switch", help: "Force the removal of a context in use" }],
  least: 1,
  run: async (invocation) => {
    const { flags, globals, io } = invocation;
    const contexts = new Contexts(io);
    const current = await contextName(globals, io);
    const force = flags.on("force");
    return await forEach(invocation, async (name) => {
      if (name === defaultContext)
        throw new Fault("invalid", `context "${defaultContext}" cannot be removed`);
      checkContextName(name);
      if (!force && !(await contexts.has(name)))
        throw new Fault("not-found", `context ${JSON.stringify(name)} does not exist`);
      if (name === current && !force)
        throw new Fault("conflict", `context ${JSON.stringify(name)} is in use, set -f flag to force remove`);
      const { currentContext, ...rest } = await readDockerConfig(io);
      if (currentContext === name) await writeDockerConfig(io, rest);
      await contexts.remove(name);
      return name;
    });
  },
};

const exportContext: Command = {
  usage: "CONTEXT [FILE|-]",
  flags: [],
  least: 1,
  most: 2,
  run: async ({ args, globals, io }) => {
    const [name = "", given] = args;
    if (name !== defaultContext) checkContextName(name);
    const whole = await wholeContext(name, globals, io);
    if (given === "-") {
      if (io.stdout.isTTY)
        throw new Fault("invalid", "cowardly refusing to export to a terminal, specify a file path");
      for await (const part of packContext(whole)) await write(io.stdout, part);
      return 0;
    }
    const path = given ?? `${name}.dockercontext`;
    await writeNewFile(path, packContext(whole));
    await write(io.stderr, `Written file ${JSON.stringify(path)}\n`);
    return 0;
  },
};

const importContext: Command = {
  usage: "CONTEXT FILE|-",
  flags: [],
  least: 2,
  most: 2,
  run: async (invocation) => {
    const [name = "", path = ""] = invocation.args;
    const { io } = invocation;
    await refuseTaken(invocation, name);
    const { meta, tls } = await unpackContext(readInput(io, path === "-" ? undefined : path));
    await new Contexts(io).put({ ...meta, Name: name }, tls);
    await write(io.stdout, `${name}\n`);
    await write(io.stderr, `Successfully imported context ${JSON.stringify(name)}\n`);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = {
  create,
  export: exportContext,
  import: importContext,
  inspect,
  ls,
  rm,
  show,
  update,
  use,
};
