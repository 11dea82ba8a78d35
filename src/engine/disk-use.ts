/** What things take up on disk, for those who want to clean up. */

import { diskUsage } from "#store/disk-usage.ts";
import type { Layers } from "#store/layers.ts";
import { chainOf } from "./image-removal.ts";
import type { Images } from "./images.ts";

export class DiskUse {
  readonly #parts: { readonly images: Pick<Images, "get">; readonly layers: Pick<Layers, "get"> };

  constructor(parts: { readonly images: Pick<Images, "get">; readonly layers: Pick<Layers, "get"> }) {
    this.#parts = parts;
  }

  /** The layers of an image, each by a name of its own that images share with the layer. @throws Fault `not-found`. */
  layersOf(reference: string): { readonly id: string; readonly sizeBytes: number }[] {
    const { images, layers } = this.#parts;
    const chain = chainOf(layers, images.get(reference).record.chainId);
    return chain.map(({ chainId, sizeBytes }) => ({ id: chainId, sizeBytes }));
  }

  /** Bytes of all files beneath; 0 for a directory that is gone. */
  async bytesOf(directory: string): Promise<number> {
    return await diskUsage(directory).catch(() => 0);
  }
}
