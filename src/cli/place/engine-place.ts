/**
 * Which engine a command talks to, and how: flags before the environment, WHERRY_HOST before DOCKER_HOST, and both before
 * a context. The context `default` is what flags and environment say.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { CliIo } from "#cli/flags/command.ts";
import type { FlagSpec, Flags } from "#cli/flags/flags.ts";
import type { EngineTls } from "#client/address.ts";
import { Fault } from "#spec/fault.ts";
import { configDirectory } from "./config-directory.ts";
import type { EnginePlace } from "./context-place.ts";

export type { EnginePlace };

/** Before the command's name, as docker has them. */
export const placeFlags: readonly FlagSpec[] = [
  {
    name: "context",
    short: "c",
    kind: "text",
    help: 'Name of the context to use to connect to the engine (overrides WHERRY_HOST and DOCKER_HOST env vars and default context set with "wherry context use")',
  },
  { name: "host", short: "H", kind: "list", help: "Engine to connect to" },
  { name: "tls", kind: "switch", help: "Use TLS; implied by --tlsverify" },
  { name: "tlscacert", kind: "text", help: "Trust certs signed only by this CA (default ~/.docker/ca.pem)" },
  { name: "tlscert", kind: "text", help: "Path to TLS certificate file (default ~/.docker/cert.pem)" },
  { name: "tlskey", kind: "text", help: "Path to TLS key file (default ~/.docker/key.pem)" },
  { name: "tlsverify", kind: "switch", help: "Use TLS and verify the remote" },
];

const defaultHost = "unix:///run/wherry/wherry.sock";
const defaultTlsHost = "tcp://localhost:2376";

/**
 * By flags, environment or context.
 * @throws Fault `invalid` for files that TLS needs and that cannot be read, or for flags that contradict one another;
 * `not-found` for a context that is not there.
 */
export async function enginePlace(flags: Flags, io: CliIo): Promise<EnginePlace> {
  const name = await contextName(flags, io);
  if (name === "default") return await defaultPlace(flags, io);
  const { contextPlace } = await import("./context-place.ts");
  return await contextPlace(name, io);
}

/** The variable that says where the engine is, when one does. */
export function hostVariable({ env }: CliIo): "WHERRY_HOST" | "DOCKER_HOST" | undefined {
  return (["WHERRY_HOST", "DOCKER_HOST"] as const).find((name) => env[name]);
}

/** Of the context in use, which may not be there. @throws Fault `invalid` for flags that contradict one another. */
export async function contextName(flags: Flags, io: CliIo): Promise<string> {
  const given = flags.text("context");
  if (flags.has("host") && given)
    throw new Fault("invalid", "conflicting options: cannot specify both --host and --context");
  if (given) return given;
  if (flags.has("host") || hostVariable(io) !== undefined) return "default";
  const chosen = io.env["DOCKER_CONTEXT"];
  if (chosen) return chosen;
  const { readDockerConfig } = await import("./docker-config.ts");
  return (await readDockerConfig(io)).currentContext || "default";
}

/** What flags and environment say, whatever context is in use. */
export async function defaultPlace(flags: Flags, io: CliIo): Promise<EnginePlace> {
  const { env } = io;
  const variable = hostVariable(io);
  const given = flags.list("host")[0] ?? (variable === undefined ? "" : (env[variable] ?? ""));
  const verify = flags.has("tlsverify") ? flags.on("tlsverify") : Boolean(env["DOCKER_TLS_VERIFY"]);
  const secure = verify || (flags.has("tls") ? flags.on("tls") : Boolean(env["DOCKER_TLS"]));
  if (!secure || given.startsWith("unix://")) return { host: given || defaultHost };
  return { host: given || defaultTlsHost, tls: await readTls(flags, io, verify) };
}

async function readTls(flags: Flags, io: CliIo, verify: boolean): Promise<EngineTls> {
  const directory = io.env["DOCKER_CERT_PATH"] || configDirectory(io);
  const pathOf = (flag: string, name: string): string => flags.text(flag) ?? join(directory, name);
  const [cert, key] = [pathOf("tlscert", "cert.pem"), pathOf("tlskey", "key.pem")];
  const shown =
    flags.has("tlscert") || flags.has("tlskey") || (await exists(cert)) || (await exists(key))
      ? {
          certificate: await readPem(cert, "X509 key pair"),
          key: await readPem(key, "X509 key pair"),
        }
      : {};
  if (!verify) return { verify, ...shown };
  return { verify, ...shown, authority: await readPem(pathOf("tlscacert", "ca.pem"), "CA certificate") };
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

async function readPem(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Fault(
      "invalid",
      `could not read ${what} ${JSON.stringify(path)}: ${Fault.from(cause).message}`,
      {
        cause,
      },
    );
  }
}
