/** What the api needs of the engine to look at running containers. */
import type { ChainId } from "#spec/digest.ts";
import type { DiskExplanation } from "#spec/docker-df.ts";
import type { UsageSample } from "#spec/usage.ts";

/** Two readings, the older one first; without any where the container does not run. */
export interface UsageView {
  readonly container: { readonly id: string; readonly name: string };
  readonly previous?: UsageSample | undefined;
  readonly sample?: UsageSample | undefined;
}

export interface EngineDiskUse {
  /** The layers of an image up to its topmost, each by a name that images share with the layer. */
  layersOf(top: ChainId | undefined): { readonly id: string; readonly sizeBytes: number }[];
  /** All below the data root, part by part. */
  explain(o: { readonly signal: AbortSignal }): Promise<DiskExplanation>;
  /** Bytes of all files beneath; 0 for a directory that is gone. */
  bytesOf(directory: string): Promise<number>;
}

export interface EngineLooking {
  /** One reading now. @throws Fault `not-found`. */
  usage(reference: string): Promise<UsageView>;
  /** A view each second until the container is removed, the first one at once. @throws Fault `not-found` at once. */
  watchUsage(reference: string, o: { readonly signal: AbortSignal }): AsyncIterable<UsageView>;
  /** A table of the container's processes, by `ps` with `args`. @throws Fault `not-found`, `conflict`, `internal`. */
  processes(
    reference: string,
    args: string,
  ): Promise<{
    readonly titles: readonly string[];
    readonly processes: readonly (readonly string[])[];
  }>;
}
