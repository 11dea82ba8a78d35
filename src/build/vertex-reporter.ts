/** Steps told as vertices. */
import { createHash } from "node:crypto";
import type { Digest } from "#spec/digest.ts";
import type { Frame } from "./build-engine.ts";
import type { StepReporter } from "./messages.ts";
import type { BuildProgress, Vertex } from "./progress.ts";

export class VertexReporter implements StepReporter {
  readonly #progress: BuildProgress;
  #current: Vertex | undefined;

  constructor(progress: BuildProgress) {
    this.#progress = progress;
  }

  async say(text: string): Promise<void> {
    if (this.#current === undefined || !/^ ---> [0-9a-fU]/.test(text)) return;
    const cached = text.includes("Using cache");
    const completedMs = cached ? this.#current.startedMs : Date.now();
    this.#progress.vertex({ ...this.#current, completedMs, cached: cached || this.#current.cached });
    if (cached) this.#current = undefined;
  }

  async step(number: number, count: number, source: string): Promise<void> {
    const hex = createHash("sha256").update(`${number} ${source}`).digest("hex");
    const digest = `sha256:${hex}` as Digest;
    this.#current = { digest, inputs: [], name: `[${number}/${count}] ${source}`, startedMs: Date.now() };
    this.#progress.vertex(this.#current);
  }

  progress(): void {}

  async imageId(): Promise<void> {}

  async output({ stream, bytes }: Frame): Promise<void> {
    if (this.#current === undefined) return;
    this.#progress.log({ vertex: this.#current.digest, stream, bytes, timeMs: Date.now() });
  }

  endOutput(): void {}
}
