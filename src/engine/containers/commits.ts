/**
 * Images made of what is here: of a container's changes, and of another image's layers put into one.
 * Promises: a container is paused only for the time its files are read, also when the engine dies in between; nothing is
 * left of what fails.
 */

import type { Emit } from "#engine/emit.ts";
import { containerAttributes } from "#engine/event-attributes.ts";
import type { Images } from "#engine/images/images.ts";
import type { ContainerIndex } from "#engine/lifecycle/container-index.ts";
import type { LayerPart, Waiting } from "#engine/parts.ts";
import type { ContainerConfig, ContainerRecord } from "#spec/container.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault, isFault } from "#spec/fault.ts";
import type { HistoryEntry, ImageConfig, ImageRunConfig } from "#spec/image.ts";
import type { Table } from "#store/records.ts";
import type { Containers } from "./containers.ts";
import { uniteConfig } from "./merge-config.ts";

export interface CommitsParts {
  readonly index: ContainerIndex;
  readonly containers: Pick<Containers, "pause" | "unpause">;
  readonly images: Pick<Images, "get" | "create" | "tag" | "collectLayers">;
  readonly layers: Pick<LayerPart, "changes" | "commit" | "flatten">;
  /** Ids of containers that are paused for a commit. */
  readonly paused: Table<true>;
  readonly applyChanges: (config: ImageRunConfig, changes: readonly string[]) => ImageRunConfig;
  readonly emit: Emit;
  readonly now: () => string;
  /** Told of what fails where no request is there to be told. */
  readonly report: (fault: Fault) => void;
}

export interface CommitRequest extends Waiting {
  /** Takes the place of the container's own, which fills what it leaves out. */
  readonly config?: ContainerConfig | undefined;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
  readonly author: string;
  readonly comment: string;
  readonly pause: boolean;
  /** The image's name. */
  readonly name?: string | undefined;
}

interface NewLayer {
  readonly chainId: ChainId;
  readonly diffId: Digest;
}

export class Commits {
  readonly #parts: CommitsParts;

  constructor(parts: CommitsParts) {
    this.#parts = parts;
  }

  /** Lets those go on that an engine paused and did not live to let go on. */
  async comeBack(): Promise<void> {
    for (const [id] of this.#parts.paused.entries())
      await this.#resume(id).catch((thrown: unknown) => this.#parts.report(Fault.from(thrown)));
  }

  /** @returns The image's id. @throws Fault `invalid` for a bad change, `conflict` for a container that goes. */
  async commit(reference: string, o: CommitRequest): Promise<Digest> {
    const { applyChanges, emit, images, index, now } = this.#parts;
    const record = index.get(reference);
    if (record.desired === "removed")
      throw new Fault("conflict", `You cannot commit container ${record.name} which is being removed`);
    const base = images.get(record.image.id);
    const config = imageFields(
      uniteConfig(applyChanges(o.config ?? record.config, o.changes), record.config),
    );
    const layer = await this.#layer(record, o);
    const created = now();
    const step: HistoryEntry = {
      ...(o.author !== "" && { author: o.author }),
      created,
      created_by: (record.config.Cmd ?? []).join(" "),
      ...(o.comment !== "" && { comment: o.comment }),
      ...(layer === undefined && { empty_layer: true }),
    };
    const id = await this.#create({ ...base.config, created, config }, layer, {
      author: o.author,
      parent: base.record.id,
      chainId: record.image.chainId,
      step,
    });
    if (o.name !== undefined) images.tag(id, o.name);
    const attributes = { comment: o.comment, imageID: id, imageRef: o.name ?? "" };
    emit("container", "commit", record.id, { ...containerAttributes(record), ...attributes });
    return id;
  }

  /** Undefined when nothing was changed. */
  async #layer(record: ContainerRecord, o: CommitRequest): Promise<NewLayer | undefined> {
    const { layers, paused } = this.#parts;
    await using undo = new AsyncDisposableStack();
    if (o.pause && record.observed.status === "running") {
      paused.put(record.id, true);
      undo.defer(async () => await this.#resume(record.id));
      await this.#parts.containers.pause(record.id);
    }
    let changed = false;
    for await (const _ of layers.changes(record.id, o)) {
      changed = true;
      break;
    }
    return changed ? await layers.commit(record.id, { consume: false, signal: o.signal }) : undefined;
  }

  async #resume(id: string): Promise<void> {
    try {
      await this.#parts.containers.unpause(id);
    } catch (thrown) {
      // Gone, ended, or let go on by someone else.
      if (!isFault(thrown, "not-found") && !isFault(thrown, "conflict")) throw thrown;
    }
    this.#parts.paused.delete(id);
  }

  async #create(
    config: ImageConfig,
    layer: NewLayer | undefined,
    o: {
      readonly author: string;
      readonly parent: Digest;
      readonly chainId: ChainId | undefined;
      readonly step: HistoryEntry;
    },
  ): Promise<Digest> {
    const { images } = this.#parts;
    const { author: _, ...rest } = config;
    const chainId = layer?.chainId ?? o.chainId;
    try {
      return await images.create({
        config: {
          ...rest,
          ...(o.author !== "" && { author: o.author }),
          rootfs: {
            type: "layers",
            diff_ids: [...config.rootfs.diff_ids, ...(layer === undefined ? [] : [layer.diffId])],
          },
          history: [...config.history, o.step],
        },
        ...(chainId !== undefined && { chainId }),
        parent: o.parent,
      });
    } catch (thrown) {
      await images.collectLayers(layer?.chainId);
      throw thrown;
    }
  }

  /**
   * The same files in a single layer, with the same config and the history's steps without their layers.
   * @returns The new image's id; the image's own when it has no more than one layer.
   */
  async squash(reference: string, o: Waiting & { readonly name?: string | undefined }): Promise<Digest> {
    const { images, layers, now } = this.#parts;
    const { record, config } = images.get(reference);
    let id = record.id;
    if (record.chainId !== undefined && config.rootfs.diff_ids.length > 1) {
      const layer = await layers.flatten(record.chainId, o);
      const created = now();
      const steps = config.history.map((step) => ({ ...step, empty_layer: true }));
      try {
        id = await images.create({
          config: {
            ...config,
            created,
            rootfs: { type: "layers", diff_ids: [layer.diffId] },
            history: [...steps, { created, comment: `squash of ${record.id}` }],
          },
          chainId: layer.chainId,
        });
      } catch (thrown) {
        await images.collectLayers(layer.chainId);
        throw thrown;
      }
    }
    if (o.name !== undefined) images.tag(id, o.name);
    return id;
  }
}

/** What of a container's config an image has a place for. */
function imageFields(config: ContainerConfig): ImageRunConfig {
  const fields = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
    "Healthcheck",
    "OnBuild",
    "Shell",
  ] as const satisfies readonly (keyof ImageRunConfig)[];
  const set = fields.filter((field) => {
    const value = config[field];
    return value !== undefined && !(field === "Volumes" && Object.keys(value ?? {}).length === 0);
  });
  return Object.fromEntries(set.map((field) => [field, config[field]]));
}
