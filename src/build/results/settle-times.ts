/**
 * Results as of a moment: what an exporter is told by `source-date-epoch`, beyond what the build itself knew of it.
 * Promises: the base's own layers and history stay; equal results become equal results.
 */

import type { PlatformResult } from "#build/request/build-request.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import type { ImageConfig } from "#spec/image.ts";
import type { Layers } from "#store/layers/layers.ts";
import { clampTar } from "#store/tar/rewrite-tar.ts";
import { chainOf } from "./compose-image.ts";

export interface SettleTimes {
  readonly epochMs: number;
  /** Files, too; otherwise only what the config says. */
  readonly files: boolean;
  readonly signal: AbortSignal;
}

export async function settleTimes(
  result: PlatformResult,
  layers: Pick<Layers, "get" | "tar" | "apply">,
  o: SettleTimes,
): Promise<PlatformResult> {
  const config = clampConfig(result.config, o.epochMs, result.base?.historyLines ?? 0);
  if (!o.files) return { ...result, config };
  const whole = chainOf(result.chainId, layers);
  const first =
    result.base?.chainId === undefined
      ? 0
      : whole.findIndex(({ chainId }) => chainId === result.base?.chainId) + 1;
  let top: ChainId | undefined = result.base?.chainId;
  const diffIds: Digest[] = whole.slice(0, first).map(({ diffId }) => diffId);
  for (const { chainId } of whole.slice(first)) {
    const tar = clampTar(layers.tar(chainId, { signal: o.signal }), o.epochMs, { signal: o.signal });
    const layer = await layers.apply(top, tar, { signal: o.signal });
    top = layer.chainId;
    diffIds.push(layer.diffId);
  }
  return { ...result, chainId: top, config: { ...config, rootfs: { type: "layers", diff_ids: diffIds } } };
}

/** Pure. `kept`: lines of the history that are the base's. */
export function clampConfig(config: ImageConfig, epochMs: number, kept: number): ImageConfig {
  const clamp = (time: string | undefined) =>
    time !== undefined && Date.parse(time) > epochMs ? new Date(epochMs).toISOString() : time;
  const history = config.history.map((line, at) => {
    const created = at < kept ? line.created : (clamp(line.created) ?? new Date(epochMs).toISOString());
    return { ...line, ...(created !== undefined && { created }) };
  });
  const created = clamp(config.created);
  return { ...config, ...(created !== undefined && { created }), history };
}
