/**
 * Who the user is to each registry: in `config.json`, or with the helper program it names (docker-credential-helpers'
 * protocol: the registry on stdin, JSON on stdout).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { CliIo } from "#cli/flags/command.ts";
import { Fault } from "#spec/fault.ts";
import { defaultDomain, parseReference } from "#spec/reference.ts";
import { type DockerConfig, readDockerConfig, writeDockerConfig } from "./docker-config.ts";

export interface AuthConfig {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
  readonly serveraddress?: string;
}

/** Docker's own registry, as its configuration names it. */
export const hubAddress = "https://index.docker.io/v1/";
/** What helpers say instead of a name when the secret is an identity token. */
const tokenName = "<token>";
const notFound = "credentials not found in native keychain";

/** What configuration knows the registry of an image by. */
export function serverOf(image: string): string {
  const { domain } = parseReference(image);
  return domain === defaultDomain ? hubAddress : domain;
}

/** For `X-Registry-Auth`. Undefined when the user is nobody there. */
export async function headerFor(io: CliIo, image: string): Promise<string | undefined> {
  const found = await credentialsFor(io, serverOf(image));
  return found === undefined ? undefined : Buffer.from(JSON.stringify(found)).toString("base64url");
}

/** For `X-Registry-Config`: who the user is everywhere. */
export async function headerForAll(io: CliIo): Promise<string> {
  const { auths = {}, credHelpers = {} } = await readDockerConfig(io);
  const servers = [...new Set([...Object.keys(auths), ...Object.keys(credHelpers)])];
  // A helper that fails for one registry is no reason not to build.
  const found = await Promise.all(
    servers.map(async (server) => [server, await credentialsFor(io, server).catch(() => undefined)] as const),
  );
  const known = Object.fromEntries(found.filter(([, each]) => each !== undefined));
  return Buffer.from(JSON.stringify(known)).toString("base64url");
}

export async function credentialsFor(io: CliIo, server: string): Promise<AuthConfig | undefined> {
  const config = await readDockerConfig(io);
  const helper = helperOf(config, server);
  if (helper !== undefined) return await fromHelper(io, helper, server);
  const entry = entryOf(config, server);
  if (entry === undefined) return undefined;
  const { auth, username, password, identitytoken, registrytoken } = entry;
  const [name, secret] = auth === undefined || auth === "" ? [username, password] : decode(auth);
  return {
    ...(name && { username: name }),
    ...(secret && { password: secret }),
    ...(identitytoken && { identitytoken }),
    ...(registrytoken && { registrytoken }),
    serveraddress: server,
  };
}

export async function storeCredentials(
  io: CliIo,
  server: string,
  auth: AuthConfig,
): Promise<"file" | "helper"> {
  const config = await readDockerConfig(io);
  const helper = helperOf(config, server);
  const { username = "", password = "", identitytoken } = auth;
  const auths = { ...config.auths };
  if (helper === undefined) {
    auths[server] = {
      auth: Buffer.from(`${username}:${password}`).toString("base64"),
      ...(identitytoken && { identitytoken }),
    };
  } else {
    const body = identitytoken
      ? { ServerURL: server, Username: tokenName, Secret: identitytoken }
      : { ServerURL: server, Username: username, Secret: password };
    await runHelper(io, helper, "store", JSON.stringify(body));
    auths[server] = {};
  }
  await writeDockerConfig(io, { ...config, auths });
  return helper === undefined ? "file" : "helper";
}

/** False when there were none. */
export async function eraseCredentials(io: CliIo, server: string): Promise<boolean> {
  const config = await readDockerConfig(io);
  const names = Object.keys(config.auths ?? {}).filter((name) => hostOf(name) === hostOf(server));
  const helper = helperOf(config, server);
  if (helper !== undefined) await runHelper(io, helper, "erase", server).catch(() => undefined);
  if (names.length === 0) return helper !== undefined;
  const auths = { ...config.auths };
  for (const name of names) delete auths[name];
  await writeDockerConfig(io, { ...config, auths });
  return true;
}

function helperOf(config: DockerConfig, server: string): string | undefined {
  const own = config.credHelpers?.[server] ?? config.credHelpers?.[hostOf(server)];
  return own || config.credsStore || undefined;
}

function entryOf({ auths = {} }: DockerConfig, server: string) {
  return auths[server] ?? Object.entries(auths).find(([name]) => hostOf(name) === hostOf(server))?.[1];
}

/** Old files have URLs. */
function hostOf(server: string): string {
  return server.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

function decode(auth: string): [string, string] {
  const text = Buffer.from(auth, "base64").toString();
  const colon = text.indexOf(":");
  if (colon < 0) throw new Fault("invalid", "invalid auth configuration file");
  return [text.slice(0, colon), text.slice(colon + 1).replace(/\0+$/, "")];
}

async function fromHelper(io: CliIo, helper: string, server: string): Promise<AuthConfig | undefined> {
  let answer: string;
  try {
    answer = await runHelper(io, helper, "get", server);
  } catch (thrown) {
    if (Fault.from(thrown).message.includes(notFound)) return undefined;
    throw thrown;
  }
  const { Username, Secret } = JSON.parse(answer) as { Username?: string; Secret?: string };
  if (Username === tokenName) return { identitytoken: Secret ?? "", serveraddress: server };
  return { username: Username ?? "", password: Secret ?? "", serveraddress: server };
}

async function runHelper(io: CliIo, helper: string, verb: string, input: string): Promise<string> {
  const program = `docker-credential-${helper}`;
  if (!/^[\w.-]+$/.test(helper))
    throw new Fault("invalid", `${JSON.stringify(helper)} names no credential helper`);
  const env = io.env as NodeJS.ProcessEnv;
  const child = spawn(program, [verb], { stdio: ["pipe", "pipe", "inherit"], env });
  let output = "";
  child.stdout.on("data", (part: Buffer) => {
    output += part.toString();
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  try {
    const [code] = (await once(child, "close")) as [number];
    if (code === 0) return output;
  } catch (cause) {
    throw new Fault(
      "unavailable",
      `error getting credentials - err: exec: "${program}": executable file not found in $PATH`,
      {
        cause,
      },
    );
  }
  throw new Fault(
    "unavailable",
    `error getting credentials - err: ${program} failed, out: ${JSON.stringify(output.trim())}`,
  );
}
