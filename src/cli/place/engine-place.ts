/** Which engine a command talks to, and how: flags before the environment, WHERRY_HOST before DOCKER_HOST. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { CliIo } from "#cli/flags/command.ts";
import type { FlagSpec, Flags } from "#cli/flags/flags.ts";
import type { EngineTls } from "#client/address.ts";
import { Fault } from "#spec/fault.ts";
import { configDirectory } from "./config-directory.ts";

export interface EnginePlace {
  readonly host: string;
  readonly tls?: EngineTls;
}

/** Before the command's name, as docker has them. */
export const placeFlags: readonly FlagSpec[] = [
  { name: "host", short: "H", kind: "list", help: "Engine to connect to" },
  { name: "tls", kind: "switch", help: "Use TLS; implied by --tlsverify" },
  { name: "tlscacert", kind: "text", help: "Trust certs signed only by this CA (default ~/.docker/ca.pem)" },
  { name: "tlscert", kind: "text", help: "Path to TLS certificate file (default ~/.docker/cert.pem)" },
  { name: "tlskey", kind: "text", help: "Path to TLS key file (default ~/.docker/key.pem)" },
  { name: "tlsverify", kind: "switch", help: "Use TLS and verify the remote" },
];

const defaultHost = "unix:///run/wherry/wherry.sock";
const defaultTlsHost = "tcp://localhost:2376";

/** @throws Fault `invalid` for files that TLS needs and that cannot be read. */
export async function enginePlace(flags: Flags, io: CliIo): Promise<EnginePlace> {
  const { env } = io;
  const given = flags.list("host")[0] ?? env["WHERRY_HOST"] ?? env["DOCKER_HOST"] ?? "";
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
