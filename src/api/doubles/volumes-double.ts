/** For tests only: volumes in memory. */

import type { EngineArchives, EngineFace } from "#api/engine-face.ts";
import type { VolumeRecord } from "#api/volumes-face.ts";
import { zeroTime } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

export function volumesDouble(o: {
  readonly kept: () => VolumeRecord[];
  readonly archives: EngineArchives;
  readonly asked: (...words: unknown[]) => void;
}): EngineFace["volumes"] {
  const get = (name: string): VolumeRecord => {
    const volume = o.kept().find((candidate) => candidate.name === name);
    if (volume === undefined) throw new Fault("not-found", `get ${name}: no such volume`);
    return volume;
  };
  return {
    list: () => [...o.kept()],
    listAll: async () => ({ volumes: [...o.kept()], warnings: [] }),
    get,
    create: async ({ name = "anonymous", labels, options }) => {
      const volume = { name, driver: "local", created: zeroTime, mountpoint: `/v/${name}`, labels, options };
      o.kept().push(volume);
      return volume;
    },
    remove: async (name) => {
      const at = o.kept().findIndex((volume) => volume.name === name);
      if (at >= 0) o.kept().splice(at, 1);
    },
    undo: () => [],
    protect: (...args) => o.asked("volume protect", ...args),
    trash: {
      newRemoval: () => "0123456789ab",
      list: () => [],
      keptUntil: ({ removedAt }) => removedAt,
      sizeOf: async () => 0,
      empty: async () => 0,
    },
    copies: {
      clone: async (source, { name, labels }) => ({ ...get(source), name, labels }),
      rename: async (...args) => o.asked("volume rename", ...args),
      restore: async (name, source) => o.asked("volume restore", name, source),
    },
    files: {
      ...o.archives,
      fill: async (name) => o.asked("volume fill", name),
    },
  };
}
