/**
 * Cache in images: the keys of the steps that made their layers, in the config's field that BuildKit has for it.
 * What another image claims is believed for one build, whose user named the image, and never put among the cache's own.
 */
import type { ChainId } from "#spec/digest.ts";
import { Fault, isFault } from "#spec/fault.ts";
import type { Layers } from "#store/layers.ts";
import type { BuildCache, StepResult } from "./build-cache.ts";
import type { BuildClient } from "./build-client.ts";
import type { BuildEngine, BuildImage } from "./build-engine.ts";
import type { FrontendOptions } from "./build-options.ts";
import { sha256Of } from "./graph.ts";
import type { BuildProgress } from "./progress.ts";
import { during } from "./tell.ts";

const field = "moby.buildkit.cache.v0";

interface InlineStep {
  readonly keys: readonly string[];
  /** Index of its layer. */
  readonly layer: number;
  readonly createdMs: number;
}

/** What goes into an image's config. */
export function inlineCache(
  chainId: ChainId | undefined,
  layers: Pick<Layers, "get">,
  cache: BuildCache,
): Record<string, string> {
  const chain: ChainId[] = [];
  for (let at = chainId; at !== undefined; at = layers.get(at)?.parent) chain.unshift(at);
  const steps = chain.flatMap((each, layer): InlineStep[] => {
    const keys = cache.keysOf(each);
    return keys.length === 0 ? [] : [{ keys, layer, createdMs: cache.createdOf(each) }];
  });
  return { [field]: Buffer.from(JSON.stringify({ wherry: 1, steps })).toString("base64") };
}

export interface ImportParts {
  readonly engine: BuildEngine;
  readonly layers: Pick<Layers, "get">;
  readonly client: BuildClient;
  readonly progress: BuildProgress;
  readonly options: FrontendOptions;
  readonly signal: AbortSignal;
}

/** Keys and results of images that `--cache-from` names. One that cannot be had is told and passed over. */
export async function importInline(parts: ImportParts): Promise<ReadonlyMap<string, StepResult>> {
  const found = new Map<string, StepResult>();
  for (const reference of referencesOf(parts.options)) {
    const vertex = {
      digest: sha256Of(`cache ${reference}`),
      name: `importing cache manifest from ${reference}`,
      inputs: [],
    };
    try {
      const image = await during(parts.progress, vertex, async () => await imageOf(reference, parts));
      for (const [key, result] of resultsOf(image, parts.layers)) found.set(key, result);
    } catch (error) {
      parts.signal.throwIfAborted();
      if (!(error instanceof Fault)) throw error;
    }
  }
  return found;
}

function referencesOf(options: FrontendOptions): string[] {
  const listed = (options["cache-from"] ?? "").split(",").filter((each) => each !== "");
  const given = options["cache-imports"];
  if (given === undefined || given === "") return listed;
  const entries = JSON.parse(given) as { Type?: string; Attrs?: Record<string, string> }[];
  const named = entries.flatMap(({ Type, Attrs }) => {
    const reference = Attrs?.["ref"];
    return Type === "registry" && reference !== undefined ? [reference] : [];
  });
  return [...new Set([...listed, ...named])];
}

async function imageOf(reference: string, { engine, client, signal }: ImportParts): Promise<BuildImage> {
  try {
    return engine.images.get(reference);
  } catch (error) {
    if (!isFault(error, "not-found")) throw error;
  }
  const host = reference.includes("/") ? (reference.split("/", 1)[0] ?? "") : "registry-1.docker.io";
  const credentials = await client.credentials(host, signal);
  await engine.transfers.fetch(reference, { credentials, tell: () => undefined, signal });
  return engine.images.get(reference);
}

function resultsOf({ record, config }: BuildImage, layers: Pick<Layers, "get">): [string, StepResult][] {
  const text = (config as unknown as Record<string, unknown>)[field];
  if (typeof text !== "string") return [];
  let steps: readonly InlineStep[];
  try {
    const read = JSON.parse(Buffer.from(text, "base64").toString()) as {
      wherry?: number;
      steps?: InlineStep[];
    };
    // Another builder's cache speaks of keys that mean nothing here.
    if (read.wherry !== 1 || !Array.isArray(read.steps)) return [];
    steps = read.steps;
  } catch {
    return [];
  }
  const chain: ChainId[] = [];
  for (let at = record.chainId; at !== undefined; at = layers.get(at)?.parent) chain.unshift(at);
  return steps.flatMap(({ keys, layer, createdMs }) => {
    const chainId = chain[layer];
    const diffId = chainId === undefined ? undefined : layers.get(chainId)?.diffId;
    if (chainId === undefined || diffId === undefined || !Array.isArray(keys)) return [];
    return keys.map((key): [string, StepResult] => [
      String(key),
      { chainId, diffId, createdMs: Number(createdMs) },
    ]);
  });
}
