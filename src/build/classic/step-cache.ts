/** Which image a step made before: step key → image id, as a table of the records. */
import { createHash } from "node:crypto";
import type { BuildImage, BuildImages } from "#build/build-engine.ts";
import { type StepIdentity, stepKey } from "#build/language/plan.ts";
import type { Digest } from "#spec/digest.ts";
import { isFault } from "#spec/fault.ts";
import type { Records, Table } from "#store/records.ts";

export class StepCache {
  readonly #images: BuildImages;
  readonly #table: Table<{ readonly image: Digest }>;

  constructor(records: Records, images: BuildImages) {
    this.#images = images;
    this.#table = records.table("build-cache");
  }

  /** The image of an equal step, if it still is here; an entry whose image was removed is forgotten. */
  find(identity: StepIdentity): BuildImage | undefined {
    const key = hashOf(identity);
    const entry = this.#table.get(key);
    if (entry === undefined) return undefined;
    try {
      return this.#images.get(entry.image);
    } catch (error) {
      if (!isFault(error, "not-found")) throw error;
      this.#table.delete(key);
      return undefined;
    }
  }

  remember(identity: StepIdentity, image: Digest): void {
    this.#table.put(hashOf(identity), { image });
  }
}

function hashOf(identity: StepIdentity): string {
  return createHash("sha256").update(stepKey(identity)).digest("hex");
}
