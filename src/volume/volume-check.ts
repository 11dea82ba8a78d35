/** Volumes and the trash: records against directories and mounts. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { mountsBeneath } from "#kernel/mounts/mount.ts";
import type { Finding } from "#spec/check.ts";
import type { Table } from "#store/records.ts";
import type { LocalDriver } from "./local-driver.ts";
import { isVolumeName } from "./plan-mounts.ts";
import type { PreparedMounts } from "./prepared-mounts.ts";
import type { Trash } from "./trash.ts";
import type { VolumeRecord } from "./volume-record.ts";

export interface VolumeCheckParts {
  readonly root: string;
  readonly table: Table<VolumeRecord>;
  readonly local: LocalDriver;
  readonly trash: Trash;
  readonly prepared: PreparedMounts;
  /** Containers with something prepared. */
  readonly isKnown: (user: string) => boolean;
  readonly looked: () => void;
}

export async function* checkVolumes(o: VolumeCheckParts): AsyncGenerator<Finding> {
  const { local, looked, prepared, root, table, trash } = o;
  for (const { name, driver, options, from } of table.list()) {
    looked();
    // Being renamed: its files are on their way.
    if (from !== undefined) continue;
    if (driver !== local.name || existsSync(local.place(name))) continue;
    yield {
      area: "volumes",
      problem: `the files of volume ${name} are gone from ${local.place(name)}`,
      remedy: "make the directory anew, empty; a copy can be put back with 'wherry volume import'",
      repair: async () => await local.create(name, options),
    };
  }
  yield* strayDirectories(o);
  for (const { target } of mountsBeneath(root).toReversed())
    if (await local.strayMount(target, { unmount: false }))
      yield {
        area: "volumes",
        problem: `${target} is mounted, and no container has it`,
        remedy: "unmount it",
        repair: async () => void (await local.strayMount(target, { unmount: true })),
      };
  for (const user of prepared.users())
    if (!o.isKnown(user))
      yield {
        area: "volumes",
        problem: `parts of volumes are mounted for ${user}, which is not there`,
        remedy: "unmount them",
        repair: async () => await prepared.release(user),
      };
  yield* trash.check();
}

/** Docker takes such a directory for a volume, too: the files may be all that is left of one. */
function* strayDirectories({ local, root, table }: VolumeCheckParts): Generator<Finding> {
  for (const name of readdirSync(root)) {
    if (name.startsWith(".") || table.get(name) !== undefined) continue;
    const path = join(root, name);
    const problem = `${path} belongs to no record`;
    if (isVolumeName(name) && existsSync(local.place(name)))
      yield {
        ...{ area: "volumes", problem, remedy: `have it as the volume ${name} again` },
        repair: () => table.put(name, adopted(name, local)),
      };
    else yield { area: "volumes", problem, remedy: "it is no volume: look what it is, and remove it" };
  }
}

/** A record for files that have lost theirs. */
export function adopted(name: string, local: LocalDriver): VolumeRecord {
  const mountpoint = local.place(name);
  const created = statSync(mountpoint).birthtime.toISOString();
  return { name, driver: local.name, created, mountpoint, options: {}, labels: {} };
}
