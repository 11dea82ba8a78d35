/** Where specifications of the Container Device Interface are read: `*.json` and `*.yaml` in directories of the machine's. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { YAML } from "bun";
import { Fault } from "#spec/fault.ts";
import { type CdiDirectory, parseCdiSpec } from "./cdi-spec.ts";

export const defaultCdiDirectories: readonly string[] = ["/etc/cdi", "/var/run/cdi"];

const specBytesMax = 4 << 20;

/** A fresh look: drivers rewrite them. A directory that is not there has none. @throws Fault `invalid` naming the file. */
export async function readCdiDirectories(paths: readonly string[]): Promise<CdiDirectory[]> {
  return await Promise.all(paths.map(readDirectory));
}

async function readDirectory(path: string): Promise<CdiDirectory> {
  const names = await readdir(path).catch(() => []);
  const specs = names.filter((name) => /\.(?:json|ya?ml)$/.test(name)).sort();
  return await Promise.all(specs.map(async (name) => await readSpec(join(path, name))));
}

async function readSpec(path: string): Promise<CdiDirectory[number]> {
  if ((await stat(path)).size > specBytesMax)
    throw new Fault("invalid", `${path} has more than ${specBytesMax} bytes: that is no CDI specification`);
  const text = await readFile(path, "utf8");
  let given: unknown;
  try {
    given = path.endsWith(".json") ? JSON.parse(text) : YAML.parse(text);
  } catch (cause) {
    throw new Fault("invalid", `${path}: ${Fault.from(cause).message}`, { cause });
  }
  return parseCdiSpec(given, path);
}
