/** For tests only: what the engine double shows to those who look. */

import type { EngineDiskUse, EngineLooking } from "#api/looking-face.ts";
import type { ContainerRecord } from "#spec/container.ts";
import type { UsageSample } from "#spec/usage.ts";

export const diskUseDouble: EngineDiskUse = {
  layersOf: () => [{ id: "layer", sizeBytes: 7 }],
  bytesOf: async () => 11,
  explain: async () => ({ Root: "/", Bytes: 0, Parts: [] }),
};

/** `samples` are asked for anew each time; each is a second after the one before. */
export function lookingDouble(o: {
  readonly find: (reference: string) => ContainerRecord;
  readonly samples: () => readonly (UsageSample | undefined)[];
  readonly note: (...asked: unknown[]) => void;
}): EngineLooking {
  return {
    usage: async (ref) => ({ container: o.find(ref), sample: o.samples().at(-1) }),
    watchUsage: (ref) => {
      const container = o.find(ref);
      return each(
        o.samples().map((sample, at, samples) => ({ container, sample, previous: samples[at - 1] })),
      );
    },
    processes: async (ref, args) => {
      o.find(ref);
      o.note("processes", args);
      return { titles: ["PID", "CMD"], processes: [["1", "sleep 1"]] };
    },
  };
}

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}
