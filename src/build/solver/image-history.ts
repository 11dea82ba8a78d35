/** Pure. An image's configuration as BuildKit would have written it. */

import { tidyConfig } from "#build/language/plan.ts";
import { configOf } from "#build/language/stage-state.ts";
import type { Digest } from "#spec/digest.ts";
import type { HistoryEntry, ImageConfig } from "#spec/image.ts";
import type { LoweredStage } from "./lower.ts";

export interface MadeLayer {
  readonly diffId: Digest | undefined;
  readonly createdMs: number;
}

/** `made`: what each history line with a node came to. `diffIds`: all layers, the base's first. */
export function imageConfig(
  lowered: LoweredStage,
  o: {
    readonly made: ReadonlyMap<unknown, MadeLayer>;
    readonly diffIds: readonly Digest[];
    readonly epochMs: number | undefined;
    readonly nowMs: number;
  },
): ImageConfig {
  const { state, base, platform } = lowered;
  const lines = lowered.history.map(({ entry, node }): HistoryEntry => {
    if (node === undefined)
      return o.epochMs !== undefined && entry.created === undefined ? dated(entry, o.epochMs) : entry;
    const layer = o.made.get(node);
    const withTime = dated(entry, layer?.createdMs ?? o.nowMs);
    return layer?.diffId === undefined ? { ...withTime, empty_layer: true } : withTime;
  });
  const unspoken = o.diffIds.length - lines.filter((line) => line.empty_layer !== true).length;
  const extra = Array.from({ length: Math.max(unspoken, 0) }, (): HistoryEntry => {
    return { created: iso(o.epochMs ?? o.nowMs), comment: "buildkit.exporter.image.v0" };
  });
  const history = fillTimes([...extra, ...lines]);
  const created = history.at(-1)?.created ?? base?.created ?? iso(o.epochMs ?? o.nowMs);
  const { variant } = platform;
  const kept = base === undefined ? {} : unknownFields(base);
  return {
    ...kept,
    architecture: platform.architecture,
    ...(state.author !== "" && { author: state.author }),
    config: tidyConfig(configOf(state)),
    created,
    history,
    os: platform.os,
    rootfs: { type: "layers", diff_ids: [...o.diffIds] },
    ...(variant !== undefined && { variant }),
  };
}

/** `os.version`, `os.features` and what else a base says of itself; never another's cache. */
function unknownFields(base: ImageConfig): Partial<ImageConfig> {
  const known = ["architecture", "author", "config", "created", "history", "os", "rootfs", "variant"];
  const described = [
    "container",
    "container_config",
    "docker_version",
    "id",
    "parent",
    "moby.buildkit.cache.v0",
    "moby.buildkit.buildinfo.v1",
  ];
  return Object.fromEntries(Object.entries(base).filter(([key]) => ![...known, ...described].includes(key)));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function dated(entry: HistoryEntry, ms: number): HistoryEntry {
  return { created: iso(ms), ...entry };
}

/** A line without a time has that of the first layer made after it in the build, else that of the line before. */
function fillTimes(history: readonly HistoryEntry[]): HistoryEntry[] {
  const firstTimeless = history.findIndex((line) => line.created === undefined);
  if (firstTimeless < 0) return [...history];
  const next = history.slice(firstTimeless).find((line) => line.created !== undefined);
  let last = next?.created ?? history.findLast((line) => line.created !== undefined)?.created;
  return history.map((line, index) => {
    if (line.created !== undefined) {
      if (index > firstTimeless) last = line.created;
      return line;
    }
    return last === undefined ? line : { created: last, ...line };
  });
}
