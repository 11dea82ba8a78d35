/**
 * Steps found in images that `cachefrom` names, most often pulled ones: of these only the history tells how they were made.
 * Source of the rule: moby image/cache. Other than there, steps made here count too when images are named.
 */

import type { BuildImage, BuildImages } from "#build/build-engine.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { isFault } from "#spec/fault.ts";
import type { HistoryEntry, ImageConfig } from "#spec/image.ts";
import { chainIdOf } from "#store/layers/layer-records.ts";

/** A step as an image has it. */
export interface FoundStep {
  readonly created: string | undefined;
  readonly diffId: Digest | undefined;
  /** The image itself, when the step is its last. */
  readonly image: BuildImage | undefined;
}

/** Those that are here; as Docker does, a name that is not known is passed over. */
export function cacheImages(images: BuildImages, names: readonly string[]): BuildImage[] {
  return names.flatMap((name) => {
    try {
      return [images.get(name)];
    } catch (error) {
      if (isFault(error, "not-found") || isFault(error, "invalid")) return [];
      throw error;
    }
  });
}

/** Pure. The step behind `before` in the first image that begins as `before` does and goes on with that very line. */
export function stepInImages(
  images: readonly BuildImage[],
  before: ImageConfig,
  createdBy: string,
): FoundStep | undefined {
  const steps = before.history ?? [];
  const layers = before.rootfs.diff_ids;
  for (const image of images) {
    const { history = [], rootfs } = image.config;
    const next = history[steps.length];
    if (next === undefined || next.created_by !== createdBy) continue;
    if (!steps.every((step, index) => same(step, history[index]))) continue;
    if (!layers.every((diffId, index) => diffId === rootfs.diff_ids[index])) continue;
    const diffId = next.empty_layer === true ? undefined : rootfs.diff_ids[layers.length];
    if (next.empty_layer !== true && diffId === undefined) continue;
    const last = steps.length === history.length - 1;
    return { created: next.created, diffId, image: last ? image : undefined };
  }
  return undefined;
}

function same(left: HistoryEntry, right: HistoryEntry | undefined): boolean {
  return (
    right !== undefined &&
    (left.created ?? "") === (right.created ?? "") &&
    (left.created_by ?? "") === (right.created_by ?? "") &&
    (left.comment ?? "") === (right.comment ?? "") &&
    (left.author ?? "") === (right.author ?? "") &&
    (left.empty_layer ?? false) === (right.empty_layer ?? false)
  );
}

export function above(parent: ChainId | undefined, diffId: Digest | undefined): ChainId | undefined {
  return diffId === undefined ? parent : chainIdOf(parent, diffId);
}
