/** The trash: its records against its directories. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "#spec/check.ts";
import { discardTree } from "#store/discard.ts";

/** `<trash>/<id>` that no entry speaks of, and entries whose files are gone. */
export function* checkTrash(o: {
  readonly root: string;
  readonly entries: readonly { readonly id: string; readonly name: string }[];
  /** Ids of directories that are about to go or to come back. */
  readonly spared: ReadonlySet<string>;
  readonly forget: (id: string) => void;
}): Generator<Finding> {
  const known = new Set(o.entries.map(({ id }) => id));
  for (const { id, name } of o.entries)
    if (!existsSync(join(o.root, id)))
      yield {
        area: "volumes",
        problem: `the files of the removed volume ${name} are gone from the trash`,
        remedy: "forget it",
        repair: () => o.forget(id),
      };
  for (const name of readdirSync(o.root))
    if (!known.has(name) && !o.spared.has(name))
      yield {
        area: "volumes",
        problem: `${join(o.root, name)} belongs to no removed volume`,
        remedy: "remove it",
        repair: async () => await discardTree(join(o.root, name)),
      };
}
