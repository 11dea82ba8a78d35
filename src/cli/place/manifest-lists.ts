/**
 * Manifest lists in the making, in the files that docker's command line keeps: `manifests/<list>/<image>` beneath the
 * configuration, one file for each manifest.
 * Promises: a file is written whole or not at all.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import type { CliIo } from "#cli/flags/command.ts";
import { Fault } from "#spec/fault.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/reference.ts";
import { configDirectory } from "./config-directory.ts";
import { partialEnding, writeWhole } from "./write-whole.ts";

const platform = v.looseObject({
  architecture: v.string(),
  os: v.string(),
  "os.version": v.optional(v.string()),
  "os.features": v.optional(v.array(v.string())),
  variant: v.optional(v.string()),
});
const schema = v.looseObject({
  /** Canonical. */
  Ref: v.string(),
  Descriptor: v.looseObject({
    mediaType: v.string(),
    digest: v.string(),
    size: v.number(),
    platform: v.optional(platform),
  }),
  /** The manifest, in base64. */
  Raw: v.string(),
});
export type ListedManifest = v.InferOutput<typeof schema>;

/** As lists and manifests are named everywhere here. @throws Fault `invalid`. */
export function canonical(name: string): string {
  return formatReference(withDefaultTag(parseReference(name)));
}

export class LocalLists {
  readonly #root: string;

  constructor(io: CliIo) {
    this.#root = join(configDirectory(io), "manifests");
  }

  /** In the order of their names; empty when there is no such list. @throws Fault `invalid` for files that are none. */
  async get(list: string): Promise<ListedManifest[]> {
    const directory = join(this.#root, fileName(list));
    const names = await readdir(directory).catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code === "ENOENT") return [];
      throw thrown;
    });
    return await Promise.all(
      names
        .filter((name) => !name.endsWith(partialEnding))
        .sort()
        .map(async (name) => await readListed(join(directory, name))),
    );
  }

  async put(list: string, manifest: ListedManifest): Promise<void> {
    const path = join(this.#root, fileName(list), fileName(manifest.Ref));
    await writeWhole(path, JSON.stringify(manifest), 0o644);
  }

  /** Idempotent. */
  async remove(list: string): Promise<void> {
    await rm(join(this.#root, fileName(list)), { recursive: true, force: true });
  }
}

async function readListed(path: string): Promise<ListedManifest> {
  try {
    return v.parse(schema, JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    throw new Fault("invalid", `${path} is no manifest of a list: ${Fault.from(cause).message}`, { cause });
  }
}

/** Of a canonical name: it has no slash, and no name that a directory has. */
function fileName(name: string): string {
  return name.replaceAll(":", "-").replaceAll("/", "_");
}
