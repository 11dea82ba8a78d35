/** What things take up on disk, for those who want to clean up. */

import type { ChainId } from "#spec/digest.ts";
import type { DiskExplanation } from "#spec/docker-df.ts";
import { anonymousLabel } from "#spec/docker-volume.ts";
import { mapDisk } from "#store/disk-map.ts";
import { diskUsage } from "#store/disk-usage.ts";
import type { Layers } from "#store/layers/layers.ts";
import { hintOf, partNames, partOf, rest } from "./images/disk-explanation.ts";
import type { ImageCollector } from "./images/image-collector.ts";
import { chainOf } from "./images/image-removal.ts";
import type { Waiting } from "./parts.ts";

export interface DiskUseParts {
  readonly layers: Pick<Layers, "get">;
  readonly collector: Pick<ImageCollector, "layerReasons">;
  readonly volumes: {
    list(): readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[];
  };
  readonly dataRoot: string;
}

export class DiskUse {
  readonly #parts: DiskUseParts;

  constructor(parts: DiskUseParts) {
    this.#parts = parts;
  }

  /** The layers of an image up to its topmost, each by a name of its own that images share with the layer. */
  layersOf(top: ChainId | undefined): { readonly id: string; readonly sizeBytes: number }[] {
    const chain = chainOf(this.#parts.layers, top);
    return chain.map(({ chainId, sizeBytes }) => ({ id: chainId, sizeBytes }));
  }

  /** All below the data root, part by part, as du(1) counts it. Walks everything: may take long. */
  async explain(o: Waiting): Promise<DiskExplanation> {
    const { collector, dataRoot, volumes } = this.#parts;
    const reasons = collector.layerReasons();
    const owners = {
      layer: (hex: string) => {
        const because = reasons.get(`sha256:${hex}` as ChainId);
        if (because === undefined) return undefined;
        return because.some((each) => each.startsWith("image ")) ? "image" : "build";
      },
      isAnonymous: (name: string) => anonymous.has(name),
    } as const;
    const anonymous = new Set(
      volumes.list().flatMap(({ name, labels }) => (Object.hasOwn(labels, anonymousLabel) ? [name] : [])),
    );
    const found = await mapDisk(dataRoot, { ...o, rest, partOf: (path) => partOf(path, owners) });
    const parts = partNames.flatMap((name) => {
      const part = found.get(name);
      return part === undefined
        ? []
        : [{ Name: name, Bytes: part.bytes, Files: part.files, Hint: hintOf(name) }];
    });
    return { Root: dataRoot, Bytes: parts.reduce((sum, { Bytes }) => sum + Bytes, 0), Parts: parts };
  }

  /** Bytes of all files beneath; 0 for a directory that is gone. */
  async bytesOf(directory: string): Promise<number> {
    return await diskUsage(directory).catch(() => 0);
  }
}
