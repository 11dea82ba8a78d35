/**
 * Contexts of Docker's clients: engines by name, in the files that docker reads and writes as well.
 * Owns: `contexts/meta/<sha256 of the name>/meta.json` and `contexts/tls/<the same>/docker/*.pem`, beneath the configuration.
 * Promises: a file is written whole or not at all; what is not understood in one stays as it is.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import type { CliIo } from "#cli/flags/command.ts";
import { Fault } from "#spec/fault.ts";
import { configDirectory } from "./config-directory.ts";
import { writeWhole } from "./write-whole.ts";

const endpoint = v.looseObject({ Host: v.optional(v.string()), SkipTLSVerify: v.optional(v.boolean()) });
const schema = v.looseObject({
  Name: v.string(),
  Metadata: v.optional(v.looseObject({ Description: v.optional(v.string()) }), {}),
  Endpoints: v.optional(v.record(v.string(), endpoint), {}),
});
/** As it stands in a file. */
export type ContextMeta = v.InferOutput<typeof schema>;

/** PEM texts by the name of their file: `ca.pem`, `cert.pem`, `key.pem`. */
export type TlsFiles = ReadonlyMap<string, Buffer>;

/** What stands for the environment and the flags, and is in no file. */
export const defaultContext = "default";
/** The only endpoint that is spoken to here. */
export const dockerEndpoint = "docker";

/** @throws Fault `invalid` for what a context cannot be called. */
export function checkContextName(name: string): void {
  if (name === "") throw new Fault("invalid", "context name cannot be empty");
  if (name === defaultContext) throw new Fault("invalid", `"${defaultContext}" is a reserved context name`);
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/.test(name))
    throw new Fault(
      "invalid",
      `context name ${JSON.stringify(name)} is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"`,
    );
}

export class Contexts {
  readonly #root: string;

  constructor(io: CliIo) {
    this.#root = join(configDirectory(io), "contexts");
  }

  /** Where what is known of a context lies. */
  placesOf(name: string): { readonly meta: string; readonly tls: string } {
    const id = createHash("sha256").update(name).digest("hex");
    return { meta: join(this.#root, "meta", id), tls: join(this.#root, "tls", id) };
  }

  /** In no order. @throws Fault `invalid` for one that cannot be read. */
  async list(): Promise<ContextMeta[]> {
    const directory = join(this.#root, "meta");
    const names = await readdir(directory).catch(absentAs<string[]>([]));
    const texts = names.map(async (id) => {
      const path = join(directory, id, "meta.json");
      const text = await readFile(path, "utf8").catch(absentAs(undefined));
      return text === undefined ? [] : [parseMeta(text, path)];
    });
    return (await Promise.all(texts)).flat();
  }

  /** @throws Fault `not-found` in docker's words. */
  async get(name: string): Promise<ContextMeta> {
    const path = join(this.placesOf(name).meta, "meta.json");
    const text = await readFile(path, "utf8").catch(absentAs(undefined));
    if (text === undefined)
      throw new Fault(
        "not-found",
        `context ${JSON.stringify(name)}: context not found: open ${path}: no such file or directory`,
      );
    return parseMeta(text, path);
  }

  async has(name: string): Promise<boolean> {
    return await this.get(name).then(
      () => true,
      (thrown: unknown) => {
        if (Fault.from(thrown).kind === "not-found") return false;
        throw thrown;
      },
    );
  }

  /** What it shows to its engine and trusts; empty when it needs nothing. */
  async tls(name: string): Promise<TlsFiles> {
    const directory = join(this.placesOf(name).tls, dockerEndpoint);
    const names = await readdir(directory).catch(absentAs<string[]>([]));
    const files = names.sort().map(async (each) => [each, await readFile(join(directory, each))] as const);
    return new Map(await Promise.all(files));
  }

  /** `tls` replaces what there was; absent: that stays. */
  async put(meta: ContextMeta, tls?: TlsFiles): Promise<void> {
    const places = this.placesOf(meta.Name);
    if (tls !== undefined) {
      const directory = join(places.tls, dockerEndpoint);
      await rm(directory, { recursive: true, force: true });
      for (const [name, bytes] of tls) await writeWhole(join(directory, name), bytes, 0o600);
    }
    await writeWhole(join(places.meta, "meta.json"), JSON.stringify(meta), 0o644);
  }

  /** Idempotent. */
  async remove(name: string): Promise<void> {
    const { meta, tls } = this.placesOf(name);
    await rm(meta, { recursive: true, force: true });
    await rm(tls, { recursive: true, force: true });
  }
}

/** `from` is where the text is from. @throws Fault `invalid`. */
export function parseMeta(text: string, from: string): ContextMeta {
  try {
    return v.parse(schema, JSON.parse(text));
  } catch (cause) {
    throw new Fault("invalid", `failed to read metadata: parsing ${from}: ${Fault.from(cause).message}`, {
      cause,
    });
  }
}

function absentAs<Value>(value: Value): (thrown: unknown) => Value {
  return (thrown) => {
    if (thrown instanceof Error && "code" in thrown && ["ENOENT", "ENOTDIR"].includes(String(thrown.code)))
      return value;
    throw thrown;
  };
}
