/** `wherry registry …`: a registry's own commands, which ask no engine. */
import { readFile, rename, writeFile } from "node:fs/promises";
import { type CliIo, write } from "#cli/flags/command.ts";
import { type FlagSpec, type Flags, parseFlags } from "#cli/flags/flags.ts";
import { humanSize } from "#cli/flags/units.ts";
import { credentialsFor, serverOf } from "#cli/place/credentials.ts";
import { RemoteCatalog } from "#registry/client/remote-catalog.ts";
import { changedHtpasswd, checkUserName, parseHtpasswd } from "#registry/server/htpasswd.ts";
import { collect, survey } from "#registry/server/registry-collect.ts";
import { RegistryStore } from "#registry/server/registry-store.ts";
import { decideDepot, parseServeFile } from "#registry/server/serve-options.ts";
import { Fault } from "#spec/fault.ts";
import { defaultDomain, parseReference, type Reference } from "#spec/reference.ts";
import { decideRegistry } from "./registry-flags.ts";
import { openDepot } from "./registry-service.ts";

const usage = `Usage:  wherry registry COMMAND

Serve and manage registries

Commands:
  serve                       Serve a registry: 'wherry registry serve --help'
  gc --root DIR               Take away what no manifest needs, also while servers serve it
      --dry-run               Only say what would go
      --grace-seconds N       Leave alone what is younger (default 3600)
      --config FILE           With the S3 settings of 'serve'
  ls HOST                     List the repositories of a registry
  tags HOST/REPOSITORY        List its tags
  rm HOST/REPOSITORY:TAG      Remove a tag, or with @DIGEST a manifest and all its tags; may be repeated
  user add FILE NAME          Add a user to a file for --htpasswd, or give him another password,
                              from $WHERRY_REGISTRY_PASSWORD or the first line of stdin
  user rm FILE NAME           Remove a user
  user ls FILE                List the users

ls, tags and rm sign in as 'wherry login HOST' did.
      --insecure-registry HOST   Needs no certificate (ls, tags, rm); may be repeated
`;

const insecureFlag: FlagSpec = { name: "insecure-registry", kind: "list", help: "" };
const gcFlags: readonly FlagSpec[] = [
  { name: "root", kind: "text", help: "" },
  { name: "config", kind: "text", help: "" },
  { name: "dry-run", kind: "switch", help: "" },
  { name: "grace-seconds", kind: "text", help: "" },
];
const graceS = 3600;
const uploadMs = 24 * 3600 * 1000;
/** Of bcrypt; `htpasswd` has 5. */
const cost = 10;

interface Asked {
  readonly args: readonly string[];
  readonly flags: Flags;
  readonly io: CliIo;
}

interface Subcommand {
  readonly flags: readonly FlagSpec[];
  readonly least: number;
  readonly most: number;
  run(o: Asked): Promise<void>;
}

const subcommands: Readonly<Record<string, Subcommand>> = {
  gc: { flags: gcFlags, least: 0, most: 0, run: collectOnce },
  ls: { flags: [insecureFlag], least: 1, most: 1, run: listRepositories },
  tags: { flags: [insecureFlag], least: 1, most: 1, run: listTags },
  rm: { flags: [insecureFlag], least: 1, most: 1000, run: removeReferences },
  "user add": { flags: [], least: 2, most: 2, run: async (o) => await changeUser(o, true) },
  "user rm": { flags: [], least: 2, most: 2, run: async (o) => await changeUser(o, false) },
  "user ls": { flags: [], least: 1, most: 1, run: listUsers },
};

/** @returns The exit code. */
export async function registryCommand(args: readonly string[], io: CliIo): Promise<number> {
  if (args[0] === "serve") {
    const { serveRegistry } = await import("./registry-serve.ts");
    return await serveRegistry(args.slice(1));
  }
  if (args.length === 0 || args.some((each) => each === "--help" || each === "-h")) {
    await write(args.length === 0 ? io.stderr : io.stdout, usage);
    return 0;
  }
  const words = args[0] === "user" ? 2 : 1;
  const name = args.slice(0, words).join(" ");
  const command = subcommands[name];
  if (command === undefined)
    throw new Fault("invalid", `unknown command: wherry registry ${name}: see 'wherry registry --help'`);
  const { flags, rest } = parseFlags(args.slice(words), command.flags, { interspersed: true });
  if (rest.length < command.least || rest.length > command.most)
    throw new Fault(
      "invalid",
      `wherry registry ${name} got ${rest.length} arguments: see 'wherry registry --help'`,
    );
  await command.run({ args: rest, flags, io });
  return 0;
}

async function collectOnce({ flags, io }: Asked): Promise<void> {
  const path = flags.text("config");
  const file = path === undefined ? {} : parseServeFile(await readFile(path, "utf8"), path);
  const root = flags.text("root") ?? file.root;
  if (root === undefined) throw new Fault("invalid", "say whose garbage: --root DIR");
  const grace = flags.text("grace-seconds") ?? String(file["grace-seconds"] ?? graceS);
  if (!/^\d{1,9}$/.test(grace))
    throw new Fault("invalid", `invalid --grace-seconds ${JSON.stringify(grace)}`);
  const store = new RegistryStore(await openDepot(decideDepot(root, file, process.env)));
  const { signal } = new AbortController();
  const o = { graceMs: Number(grace) * 1000, uploadMs, nowMs: Date.now(), signal };
  if (flags.on("dry-run")) {
    const { blobs, uploads } = await survey(store, o);
    for (const { digest, sizeBytes } of blobs) await write(io.stdout, `${digest}  ${humanSize(sizeBytes)}\n`);
    const bytes = blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    await write(io.stdout, `${blobs.length} blobs of ${humanSize(bytes)} and ${uploads} uploads would go\n`);
    return;
  }
  const { blobs, bytes, uploads } = await collect(store, o);
  await write(io.stdout, `${blobs} blobs of ${humanSize(bytes)} and ${uploads} uploads are gone\n`);
}

async function catalogOf(server: string, { flags, io }: Asked): Promise<RemoteCatalog> {
  const found = await credentialsFor(io, server);
  const insecure = flags.list("insecure-registry");
  const options = decideRegistry({ "insecure-registry": insecure }, {}, process.env);
  const credentials = found && {
    ...{ username: found.username, password: found.password },
    ...{ identityToken: found.identitytoken, registryToken: found.registrytoken },
  };
  return new RemoteCatalog(options, credentials);
}

async function listRepositories(o: Asked): Promise<void> {
  const [host = ""] = o.args;
  const { domain } = reference(`${host}/x`);
  const catalog = await catalogOf(domain, o);
  const { signal } = new AbortController();
  for await (const name of catalog.repositories(domain, signal)) await write(o.io.stdout, `${name}\n`);
}

async function listTags(o: Asked): Promise<void> {
  const [name = ""] = o.args;
  const catalog = await catalogOf(serverOf(name), o);
  const tags = await catalog.tags(reference(name), new AbortController().signal);
  for (const tag of tags) await write(o.io.stdout, `${tag}\n`);
}

async function removeReferences(o: Asked): Promise<void> {
  for (const name of o.args) {
    const which = reference(name);
    if (which.tag === undefined && which.digest === undefined)
      throw new Fault("invalid", `${name} names a whole repository: say which with :TAG or @DIGEST`);
    const catalog = await catalogOf(serverOf(name), o);
    await catalog.remove(which, new AbortController().signal);
    await write(o.io.stdout, `Deleted: ${name}\n`);
  }
}

/** What has no registry in it is none of ours to manage. */
function reference(name: string): Reference {
  const parsed = parseReference(name);
  if (parsed.domain === defaultDomain)
    throw new Fault(
      "invalid",
      `${name} names no registry: want HOST[:PORT]/REPOSITORY, like localhost:5000/team/x`,
    );
  return parsed;
}

async function changeUser({ args, io }: Asked, isAdded: boolean): Promise<void> {
  const [path = "", name = ""] = args;
  checkUserName(name);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" && isAdded) return "";
    throw error;
  });
  if (!isAdded && !parseHtpasswd(text, path).has(name))
    throw new Fault("not-found", `${path} has no user ${name}`);
  const hash = isAdded
    ? await Bun.password.hash(await newPassword(io), { algorithm: "bcrypt", cost })
    : undefined;
  // Whole or not at all: a server may be reading.
  await writeFile(`${path}.new`, changedHtpasswd(text, name, hash), { mode: 0o600 });
  await rename(`${path}.new`, path);
  await write(io.stdout, `${isAdded ? "Added" : "Removed"}: ${name}\n`);
}

async function newPassword(io: CliIo): Promise<string> {
  const given = io.env["WHERRY_REGISTRY_PASSWORD"];
  if (given !== undefined && given !== "") return given;
  let text = "";
  for await (const part of io.stdin) {
    text += String(part);
    if (text.includes("\n")) break;
  }
  const [password = ""] = text.split(/\r?\n/);
  if (password === "") throw new Fault("invalid", "no password: write it to stdin");
  return password;
}

async function listUsers({ args, io }: Asked): Promise<void> {
  const [path = ""] = args;
  for (const name of parseHtpasswd(await readFile(path, "utf8"), path).keys())
    await write(io.stdout, `${name}\n`);
}
