/**
 * Which program is a plugin: found by name where Docker looks (docs.docker.com/engine/extend/plugin_api), sockets first,
 * then files that say where it listens.
 */
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { Fault } from "#spec/fault.ts";
import { type PluginAddress, PluginDriver } from "./plugin-driver.ts";

export interface PluginDirectories {
  /** Hold `NAME.sock` or `NAME/NAME.sock`. */
  readonly sockets: readonly string[];
  /** Hold `NAME.spec` or `NAME.json`. */
  readonly files: readonly string[];
}

const jsonFile = v.object({ Addr: v.string() });
const pluginName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export class Plugins {
  readonly #directories: PluginDirectories;
  readonly #open = new Map<string, PluginDriver>();

  constructor(directories: PluginDirectories) {
    this.#directories = directories;
  }

  /** @throws Fault `not-found` in dockerd's words. */
  async driver(name: string, signal?: AbortSignal): Promise<PluginDriver> {
    const open = this.#open.get(name);
    if (open !== undefined) return open;
    const at = pluginName.test(name) ? await this.#address(name) : undefined;
    const missing = `error looking up volume plugin ${name}: plugin ${JSON.stringify(name)} not found`;
    if (at === undefined) throw new Fault("not-found", missing);
    const driver = await PluginDriver.open({ name, at }, { signal });
    this.#open.set(name, driver);
    return driver;
  }

  /** Names of all that are there, of volumes or not, without asking them. */
  names(): string[] {
    const { files, sockets } = this.#directories;
    const found = [
      ...sockets.flatMap((directory) =>
        entriesIn(directory).flatMap((name) => {
          if (name.endsWith(".sock")) return [name.slice(0, -".sock".length)];
          return existsSync(join(directory, name, `${name}.sock`)) ? [name] : [];
        }),
      ),
      ...files.flatMap((directory) =>
        entriesIn(directory).flatMap((name) => /^(.*)\.(?:spec|json)$/.exec(name)?.[1] ?? []),
      ),
    ];
    return [...new Set(found.filter((name) => pluginName.test(name)))].sort();
  }

  async #address(name: string): Promise<PluginAddress["at"] | undefined> {
    for (const directory of this.#directories.sockets)
      for (const unix of [join(directory, `${name}.sock`), join(directory, name, `${name}.sock`)])
        if (existsSync(unix)) return { unix };
    for (const directory of this.#directories.files)
      for (const file of [`${name}.spec`, `${name}.json`].map((each) => join(directory, each)))
        if (existsSync(file)) return addressIn(await readFile(file, "utf8"), file);
    return undefined;
  }
}

function entriesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function addressIn(text: string, file: string): PluginAddress["at"] {
  const url = file.endsWith(".json") ? v.parse(jsonFile, JSON.parse(text)).Addr : text.trim();
  if (url.startsWith("unix://")) return { unix: url.slice("unix://".length) };
  if (/^(tcp|http):\/\//.test(url)) return { url };
  throw new Fault(
    "unsupported",
    `${file}: ${JSON.stringify(url)} is neither unix://PATH nor tcp://ADDRESS:PORT`,
  );
}
