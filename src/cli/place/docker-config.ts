/**
 * The configuration file of Docker's clients, `config.json`: what this program reads of it, and what it writes.
 * Promises: what is not understood stays as it is; a write is whole or not at all.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import type { CliIo } from "#cli/flags/command.ts";
import { Fault } from "#spec/fault.ts";
import { configDirectory } from "./config-directory.ts";
import { writeWhole } from "./write-whole.ts";

const entry = v.looseObject({
  auth: v.optional(v.string()),
  username: v.optional(v.string()),
  password: v.optional(v.string()),
  identitytoken: v.optional(v.string()),
  registrytoken: v.optional(v.string()),
});
const schema = v.looseObject({
  auths: v.optional(v.record(v.string(), entry)),
  credsStore: v.optional(v.string()),
  credHelpers: v.optional(v.record(v.string(), v.string())),
  currentContext: v.optional(v.string()),
});
export type DockerConfig = v.InferOutput<typeof schema>;

/** Empty when there is no file. @throws Fault `invalid` for one that cannot be read. */
export async function readDockerConfig(io: CliIo): Promise<DockerConfig> {
  const path = join(configDirectory(io), "config.json");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && ["ENOENT", "ENOTDIR"].includes(String(thrown.code)))
      return {};
    throw thrown;
  }
  try {
    return v.parse(schema, JSON.parse(text));
  } catch (cause) {
    throw new Fault("invalid", `${path} is no configuration of Docker's: ${Fault.from(cause).message}`, {
      cause,
    });
  }
}

export async function writeDockerConfig(io: CliIo, config: DockerConfig): Promise<void> {
  const path = join(configDirectory(io), "config.json");
  await writeWhole(path, `${JSON.stringify(config, undefined, "\t")}\n`, 0o600);
}
