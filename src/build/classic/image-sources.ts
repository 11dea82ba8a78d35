/**
 * Where FROM and COPY --from lead: earlier stages, images of the engine, nothing at all.
 * Owns: the file systems it opened to copy from, until it is disposed.
 */

import type { BuildImage, BuildImages } from "#build/build-engine.ts";
import { SourceTree } from "#build/files/source-tree.ts";
import type { Workspaces } from "#build/files/workspace.ts";
import { findStage, type StagePlan } from "#build/language/plan.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault, isFault } from "#spec/fault.ts";
import type { ImageConfig, Platform } from "#spec/image.ts";
import { parsePlatform } from "#spec/platform.ts";

/** Where a stage is: an image, or nothing yet. */
export interface StageImage {
  readonly id?: Digest | undefined;
  readonly chainId?: ChainId | undefined;
  readonly parent?: Digest | undefined;
  readonly config: ImageConfig;
  /** Made by this builder: it may still be hidden. */
  readonly built: boolean;
}

export interface ImageSourceOptions {
  readonly pull: boolean;
  readonly platform: Platform;
  readonly platformGiven: boolean;
  /** Brings an image here from its registry. */
  readonly fetch: (name: string, platform: Platform | undefined) => Promise<void>;
}

/** The build's stages and what they come to; asking for one begins it. */
export interface StageResults {
  readonly list: readonly StagePlan[];
  result(stage: StagePlan): Promise<StageImage>;
}

export class ImageSources implements AsyncDisposable {
  readonly #images: BuildImages;
  readonly #workspaces: Workspaces;
  readonly #o: ImageSourceOptions;
  readonly #open = new AsyncDisposableStack();
  readonly #trees = new Map<ChainId | undefined, Promise<SourceTree>>();
  readonly #stages: StageResults;

  constructor(images: BuildImages, workspaces: Workspaces, stages: StageResults, o: ImageSourceOptions) {
    this.#images = images;
    this.#workspaces = workspaces;
    this.#stages = stages;
    this.#o = o;
  }

  /**
   * What stage `index` starts from. `platform` is FROM's own flag, empty for none.
   * @throws Fault naming what is missing.
   */
  async base(index: number, name: string, platform: string): Promise<StageImage> {
    const wanted = platform === "" ? this.#o.platform : parsePlatform(platform);
    if (name === "scratch") {
      const config = {
        ...wanted,
        config: {},
        rootfs: { type: "layers" as const, diff_ids: [] },
        history: [],
      };
      return { config, built: false };
    }
    const before = this.#stages.list.slice(0, index);
    const earlier = before.find((stage) => stage.name !== "" && stage.name === name.toLowerCase());
    if (earlier !== undefined) return await this.#stages.result(earlier);
    const { record, config } = await this.#image(
      name,
      this.#o.platformGiven || platform !== "" ? wanted : undefined,
    );
    return { id: record.id, chainId: record.chainId, config, built: false };
  }

  /** The files of a stage or image that `COPY --from` names. Each is opened once. */
  async tree(index: number, from: string): Promise<SourceTree> {
    const stage = findStage(this.#stages.list.slice(0, index), from);
    const result = stage === undefined ? undefined : await this.#stages.result(stage);
    const chainId = result === undefined ? await this.#fromImage(from) : result.chainId;
    const known = this.#trees.get(chainId) ?? this.#openTree(chainId);
    this.#trees.set(chainId, known);
    return await known;
  }

  async #openTree(chainId: ChainId | undefined): Promise<SourceTree> {
    const workspace = this.#open.use(await this.#workspaces.acquire(chainId));
    return new SourceTree(workspace.root, "image");
  }

  async #fromImage(from: string): Promise<ChainId | undefined> {
    try {
      const image = await this.#image(from, this.#o.platformGiven ? this.#o.platform : undefined);
      return image.record.chainId;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      throw new Fault(error.kind, `invalid from flag value ${from}: ${error.message}`, { cause: error });
    }
  }

  /** What is here, or what its registry has. */
  async #image(name: string, platform: Platform | undefined): Promise<BuildImage> {
    const isId = /^(sha256:)?[0-9a-f]{64}$/.test(name);
    if (this.#o.pull && !isId) await this.#o.fetch(name, platform);
    try {
      return this.#images.get(name, platform);
    } catch (error) {
      if (!isFault(error, "not-found") || isId || this.#o.pull) throw error;
    }
    await this.#o.fetch(name, platform);
    return this.#images.get(name, platform);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#open.disposeAsync();
  }
}
