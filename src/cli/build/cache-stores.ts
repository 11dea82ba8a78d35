/** Caches in directories of the user's: `--cache-from type=local,src=…`, `--cache-to type=local,dest=…`. */
import { resolve } from "node:path";
import type { CliIo } from "#cli/flags/command.ts";
import { cacheStore } from "#spec/content-service.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor } from "#spec/image.ts";
import { type Entry, entryOf } from "./build-order.ts";
import { addToLayout, findInLayout } from "./layout-index.ts";

export interface CacheStores {
  readonly imports: readonly Entry[];
  readonly exports: readonly Entry[];
  /** Directories by the names they are lent under. */
  readonly stores: ReadonlyMap<string, string>;
}

/** A cache that is not there yet is passed over, with a word about it. @throws Fault `invalid`. */
export async function cacheStores(
  io: CliIo,
  o: { readonly from: readonly string[]; readonly to: readonly string[] },
): Promise<CacheStores> {
  const stores = new Map<string, string>();
  const imports: Entry[] = [];
  for (const entry of o.from.map((text) => entryOf(text, "cache-from"))) {
    const { src, digest } = entry.Attrs;
    if (entry.Type !== "local" || src === undefined) {
      imports.push(entry);
      continue;
    }
    const directory = resolve(io.cwd, src);
    const found = digest ?? (await findInLayout(directory, entry.Attrs["tag"] ?? "latest"))?.digest;
    if (found === undefined) {
      io.stderr.write(`WARNING: local cache import at ${src} skipped: there is no cache\n`);
      continue;
    }
    stores.set(cacheStore(directory), directory);
    imports.push({ ...entry, Attrs: { ...entry.Attrs, src: directory, digest: found } });
  }
  const exports = o.to.map((text) => {
    const entry = entryOf(text, "cache-to");
    const { dest } = entry.Attrs;
    if (entry.Type !== "local" || dest === undefined) return entry;
    if (/^(?:1|t|true)$/i.test(entry.Attrs["reset"] ?? ""))
      throw new Fault(
        "unsupported",
        'cache exporter option "reset=true" is not supported: remove the directory',
      );
    const directory = resolve(io.cwd, dest);
    stores.set(cacheStore(directory), directory);
    return { ...entry, Attrs: { ...entry.Attrs, dest: directory } };
  });
  return { imports, exports, stores };
}

/** Lists what was written, so that the next build finds it. */
export async function listCaches(
  { exports }: CacheStores,
  answer: Readonly<Record<string, string>>,
): Promise<void> {
  const manifest = answer["cache.manifest"];
  if (manifest === undefined) return;
  for (const { Type, Attrs } of exports)
    if (Type === "local" && Attrs["dest"] !== undefined)
      await addToLayout(Attrs["dest"], JSON.parse(manifest) as Descriptor, [Attrs["tag"] ?? "latest"]);
}
