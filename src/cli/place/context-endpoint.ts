/** What `--docker key=value,…` of `context create` and `update` says, and the context it makes. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { CliIo } from "#cli/flags/command.ts";
import { csvFields } from "#cli/flags/csv.ts";
import type { Flags } from "#cli/flags/flags.ts";
import { parseAddress } from "#client/address.ts";
import { Fault } from "#spec/fault.ts";
import { type ContextMeta, Contexts, defaultContext, dockerEndpoint, type TlsFiles } from "./contexts.ts";
import { defaultPlace } from "./engine-place.ts";

/** A context's file and what belongs to it. */
export interface WholeContext {
  readonly meta: ContextMeta;
  readonly tls: TlsFiles;
}

const keys = ["from", "host", "ca", "cert", "key", "skip-tls-verify"] as const;
type Key = (typeof keys)[number];
const defaultDescription = "Current DOCKER_HOST based configuration";

/** Pure. One pair may have commas in its value; several are fields of a line. @throws Fault `invalid`. */
export function parseEndpoint(texts: readonly string[]): ReadonlyMap<Key, string> {
  const found = new Map<Key, string>();
  const fields = texts.flatMap((text) => (text.split("=").length === 2 ? [text] : csvFields(text)));
  for (const field of fields) {
    const at = field.indexOf("=");
    if (at < 0)
      throw new Fault("invalid", `invalid argument "${field}" for "--docker" flag: want key=value`, {
        detail: { usage: true },
      });
    const key = keys.find((each) => each === field.slice(0, at));
    if (key === undefined)
      throw new Fault(
        "invalid",
        `unable to create docker endpoint config: unrecognized config key: ${field.slice(0, at)}`,
      );
    found.set(key, field.slice(at + 1));
  }
  return found;
}

/** A context that is there, or what flags and environment say. @throws Fault `not-found`. */
export async function wholeContext(name: string, globals: Flags, io: CliIo): Promise<WholeContext> {
  if (name !== defaultContext) {
    const contexts = new Contexts(io);
    return { meta: await contexts.get(name), tls: await contexts.tls(name) };
  }
  const { host, tls } = await defaultPlace(globals, io);
  const files = [
    ["ca.pem", tls?.authority],
    ["cert.pem", tls?.certificate],
    ["key.pem", tls?.key],
  ] as const;
  return {
    meta: {
      Name: defaultContext,
      Metadata: { Description: defaultDescription },
      Endpoints: { [dockerEndpoint]: { Host: host, SkipTLSVerify: tls !== undefined && !tls.verify } },
    },
    tls: new Map(
      files.flatMap(([file, text]) => (text === undefined ? [] : [[file, Buffer.from(text)] as const])),
    ),
  };
}

/** The endpoint that the words describe. @throws Fault `invalid` in docker's words, `not-found`. */
export async function endpointOf(
  words: ReadonlyMap<Key, string>,
  globals: Flags,
  io: CliIo,
): Promise<{ readonly endpoint: ContextMeta["Endpoints"][string]; readonly tls: TlsFiles }> {
  const from = words.get("from");
  if (from !== undefined) {
    const { meta, tls } = await wholeContext(from, globals, io);
    const endpoint = meta.Endpoints[dockerEndpoint];
    if (endpoint === undefined)
      throw new Fault("invalid", `unable to create docker endpoint config: ${from} has no docker endpoint`);
    return { endpoint, tls };
  }
  const host = words.get("host") ?? "";
  if (host !== "") checkHost(host);
  const tls = new Map<string, Buffer>();
  for (const key of ["ca", "cert", "key"] as const) {
    const path = words.get(key);
    if (path) tls.set(`${key}.pem`, await readPem(path, io));
  }
  const endpoint = {
    ...(host !== "" && { Host: host }),
    SkipTLSVerify: truth(words.get("skip-tls-verify") ?? "false"),
  };
  return { endpoint, tls };
}

function checkHost(host: string): void {
  try {
    parseAddress(host);
  } catch (cause) {
    const { kind, message } = Fault.from(cause);
    // Another client may know how to get there.
    if (kind === "unsupported") return;
    throw new Fault(
      kind,
      `unable to create docker endpoint config: unable to apply docker endpoint options: ${message}`,
      { cause },
    );
  }
}

async function readPem(path: string, io: CliIo): Promise<Buffer> {
  const place = path.startsWith("~/") ? join(io.env["HOME"] || homedir(), path.slice(2)) : path;
  try {
    return await readFile(place);
  } catch (cause) {
    throw new Fault(
      "invalid",
      `unable to create docker endpoint config: open ${path}: no such file or directory`,
      {
        cause,
      },
    );
  }
}

function truth(text: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new Fault(
    "invalid",
    `unable to create docker endpoint config: skip-tls-verify: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}
