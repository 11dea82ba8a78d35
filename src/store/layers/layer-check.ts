/** Layers against their digests, and records of layers against what is on disk. Reads all of them, one at a time. */
import { createHash } from "node:crypto";
import type { Finding } from "#spec/check.ts";
import type { ChainId } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Pace } from "#store/pace.ts";
import { chainIdOf, type LayerRecord } from "./layer-records.ts";
import type { Layers } from "./layers.ts";

export interface LayerCheck {
  readonly layers: Layers;
  /** Images and others that need a layer, in words. */
  readonly neededBy: (chainId: ChainId) => readonly string[];
  /** Takes away a layer that nothing needs. */
  readonly collect: (chainId: ChainId) => Promise<void>;
  readonly pace: Pace;
  readonly looked: () => void;
}

export async function* checkLayers(o: LayerCheck): AsyncGenerator<Finding> {
  const { layers, looked } = o;
  for (const record of layers.list()) {
    looked();
    const problem = await layerProblem(record, o);
    if (problem === undefined || layers.get(record.chainId) === undefined) continue;
    const users = o.neededBy(record.chainId);
    yield users.length === 0
      ? {
          ...{ area: "layers", problem, remedy: "nothing needs it: remove it" },
          repair: async () => await o.collect(record.chainId),
        }
      : {
          ...{ area: "layers", problem },
          remedy: `remove what needs it and pull, load or build it again (${users.join(", ")})`,
        };
  }
  for (const path of layers.strays())
    yield {
      ...{ area: "layers", problem: `${path} belongs to no record`, remedy: "remove it" },
      repair: async () => await layers.removeStray(path),
    };
  for (const { id } of layers.writables()) {
    looked();
    if (layers.hasWritable(id)) continue;
    yield {
      area: "layers",
      problem: `the changes of ${id} are gone from ${layers.writablePath(id)}`,
      remedy: "make it anew, without changes: it starts from its image again",
      repair: async () => await layers.remakeWritable(id),
    };
  }
}

async function layerProblem(record: LayerRecord, o: LayerCheck): Promise<string | undefined> {
  const { chainId, parent, diffId } = record;
  const really = chainIdOf(parent, diffId);
  if (really !== chainId)
    return `layer ${chainId} is recorded wrongly: its parent and content make ${really}`;
  if (parent !== undefined && o.layers.get(parent) === undefined)
    return `layer ${chainId} stands on ${parent}, which is gone`;
  try {
    const hash = createHash("sha256");
    for await (const bytes of o.layers.tar(chainId)) {
      hash.update(bytes);
      await o.pace.step(bytes.length);
    }
    const found = `sha256:${hash.digest("hex")}`;
    return found === diffId
      ? undefined
      : `layer ${chainId} is damaged: its content has the digest ${found}, not ${diffId}`;
  } catch (error) {
    const { kind, message } = Fault.from(error);
    if (kind === "cancelled" || kind === "timeout") throw error;
    return `layer ${chainId} is damaged: ${message}`;
  }
}
