/** Commands that have to do with registries. */
import { createInterface } from "node:readline/promises";
import {
  type Command,
  filterFlag,
  filtersOf,
  formatFlag,
  type Invocation,
  noTruncFlag,
  write,
} from "#cli/flags/command.ts";
import { configDirectory } from "#cli/place/config-directory.ts";
import {
  type AuthConfig,
  credentialsFor,
  eraseCredentials,
  headerFor,
  hubAddress,
  storeCredentials,
} from "#cli/place/credentials.ts";
import { showProgress } from "#cli/terminal/progress-display.ts";
import { pullImage } from "#cli/terminal/pull-image.ts";
import { formatRows } from "#cli/terminal/rows.ts";
import { ellipsis } from "#cli/terminal/table.ts";
import { Fault } from "#spec/fault.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/reference.ts";

const platformFlag = { name: "platform", kind: "text" } as const;
const quietFlag = { name: "quiet", short: "q", kind: "switch", help: "Suppress verbose output" } as const;

const pull: Command = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  flags: [
    { name: "all-tags", short: "a", kind: "switch", help: "Download all tagged images in the repository" },
    { ...platformFlag, help: "Set platform if server is multi-platform capable" },
    quietFlag,
  ],
  least: 1,
  most: 1,
  run: async ({ args, client, flags, io }) => {
    const [image = ""] = args;
    const reference = parseReference(image);
    const [all, quiet] = [flags.on("all-tags"), flags.on("quiet")];
    const named = reference.tag !== undefined || reference.digest !== undefined;
    if (all && named) throw new Fault("invalid", "tag can't be used with --all-tags/-a");
    if (!all && !named && !quiet) await write(io.stdout, "Using default tag: latest\n");
    const platform = flags.text("platform") ?? io.env["DOCKER_DEFAULT_PLATFORM"];
    await pullImage(io, await client(), image, io.stdout, { all, quiet, platform });
    await write(io.stdout, `${formatReference(all ? reference : withDefaultTag(reference))}\n`);
    return 0;
  },
};

const push: Command = {
  usage: "[OPTIONS] NAME[:TAG]",
  flags: [
    { name: "all-tags", short: "a", kind: "switch", help: "Push all tags of an image to the repository" },
    { ...platformFlag, help: "Push a platform-specific manifest as a single-platform image" },
    quietFlag,
  ],
  least: 1,
  most: 1,
  run: async ({ args, client, flags, io }) => {
    const [image = ""] = args;
    const given = parseReference(image);
    const [all, quiet] = [flags.on("all-tags"), flags.on("quiet")];
    if (given.digest !== undefined) throw new Fault("invalid", "cannot push a digest reference");
    if (all && given.tag !== undefined) throw new Fault("invalid", "tag can't be used with --all-tags/-a");
    if (!all && given.tag === undefined && !quiet) await write(io.stdout, "Using default tag: latest\n");
    const reference = all ? given : withDefaultTag(given);
    const messages = (await client()).images.push({
      name: image.replace(/:[^/]*$/, ""),
      tag: reference.tag,
      platform: flags.text("platform"),
      auth: await headerFor(io, image),
    });
    if (!quiet) await showProgress(messages, io.stdout);
    else for await (const { error } of messages) if (error !== undefined) throw new Fault("internal", error);
    if (quiet) await write(io.stdout, `${formatReference(reference)}\n`);
    return 0;
  },
};

const insecurePassword = "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n";

const login: Command = {
  usage: "[OPTIONS] [SERVER]",
  flags: [
    { name: "password", short: "p", kind: "text", help: "Password or Personal Access Token (PAT)" },
    {
      name: "password-stdin",
      kind: "switch",
      help: "Take the Password or Personal Access Token (PAT) from stdin",
    },
    { name: "username", short: "u", kind: "text", help: "Username" },
  ],
  least: 0,
  most: 1,
  run: async (o) => {
    const { args, client, flags, io } = o;
    const server = serverAddress(args[0]);
    const known = flags.text("username") === undefined ? await credentialsFor(io, server) : undefined;
    const isComplete = known?.password !== undefined || known?.identitytoken !== undefined;
    const auth = isComplete ? known : await askedFor(o);
    if (isComplete) await write(io.stdout, "Authenticating with existing credentials...\n");
    const { IdentityToken, Status } = await (await client()).signIn({ ...auth, serveraddress: server });
    const kept: AuthConfig = IdentityToken ? { identitytoken: IdentityToken } : auth;
    if (!isComplete && (await storeCredentials(io, server, kept)) === "file")
      await write(
        io.stderr,
        `\nWARNING! Your credentials are stored unencrypted in '${configDirectory(io)}/config.json'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n\n`,
      );
    await write(io.stdout, `${Status}\n`);
    return 0;
  },
};

function serverAddress(given: string | undefined): string {
  const host = (given ?? "").replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return ["", "docker.io", "index.docker.io", "registry-1.docker.io"].includes(host) ? hubAddress : host;
}

async function askedFor({ flags, io }: Invocation): Promise<AuthConfig> {
  const [given, fromInput] = [flags.text("password"), flags.on("password-stdin")];
  let username = flags.text("username");
  if (given !== undefined) {
    await write(io.stderr, insecurePassword);
    if (fromInput) throw new Fault("invalid", "--password and --password-stdin are mutually exclusive");
  }
  if (fromInput) {
    if (username === undefined) throw new Fault("invalid", "Must provide --username with --password-stdin");
    const parts: Uint8Array[] = [];
    for await (const part of io.stdin) parts.push(part as Uint8Array);
    return {
      username,
      password: Buffer.concat(parts)
        .toString()
        .replace(/\r?\n$/, ""),
    };
  }
  if ((username === undefined || given === undefined) && !io.stdin.isTTY)
    throw new Fault("invalid", "Cannot perform an interactive login from a non TTY device");
  username ??= await ask(io, "Username: ", true);
  return { username, password: given ?? (await ask(io, "Password: ", false)) };
}

/** One line from the terminal; a secret is not shown. */
async function ask(io: Invocation["io"], question: string, shown: boolean): Promise<string> {
  await write(io.stdout, question);
  const { PassThrough } = await import("node:stream");
  const output = new PassThrough();
  if (shown) output.pipe(io.stdout, { end: false });
  const lines = createInterface({ input: io.stdin, output, terminal: true });
  try {
    return (await lines.question("")).trim();
  } finally {
    lines.close();
    if (!shown) await write(io.stdout, "\n");
  }
}

const logout: Command = {
  usage: "[SERVER]",
  flags: [],
  least: 0,
  most: 1,
  run: async ({ args, io }) => {
    const server = serverAddress(args[0]);
    const erased = await eraseCredentials(io, server);
    await write(
      io.stdout,
      erased ? `Removing login credentials for ${server}\n` : `Not logged in to ${server}\n`,
    );
    return 0;
  },
};

const searchHeaders = {
  Name: "NAME",
  Description: "DESCRIPTION",
  StarCount: "STARS",
  IsOfficial: "OFFICIAL",
} as const;
const searchFields = ["Name", "Description", "StarCount", "IsOfficial"] as const;
const descriptionCells = 45;

const search: Command = {
  usage: "[OPTIONS] TERM",
  flags: [
    filterFlag,
    { ...formatFlag, help: "Pretty-print search using a Go template" },
    { name: "limit", kind: "text", value: "int", help: "Max number of search results" },
    noTruncFlag,
  ],
  least: 1,
  most: 1,
  run: async ({ args, client, flags, io }) => {
    const [term = ""] = args;
    const found = await (await client()).images.search(term, {
      limit: flags.text("limit"),
      filters: filtersOf(flags.list("filter")),
      auth: await headerFor(io, term).catch(() => undefined),
    });
    const rows = found
      .sort((a, b) => b.star_count - a.star_count)
      .map((each) => {
        const text = each.description.replaceAll(/[\r\n]+/g, " ");
        return {
          Name: each.name,
          Description: flags.on("no-trunc") ? text : ellipsis(text, descriptionCells),
          StarCount: String(each.star_count),
          IsOfficial: each.is_official ? "[OK]" : "",
        };
      });
    const columns = searchFields.map((field) => ({ header: searchHeaders[field], field }));
    await write(
      io.stdout,
      formatRows(rows, columns, { format: flags.text("format"), headers: searchHeaders }),
    );
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = {
  pull,
  push,
  login,
  logout,
  search,
};
