/**
 * The engine's images.
 * Owns: image records, names, config blobs. Promises: an image that is listed has all its layers; removal names what is
 * in the way. Never: builds, or speaks to a registry.
 */
import type { ContainerRecord } from "#spec/container.ts";
import { type ChainId, type Digest, shortDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { booleanFilter, type Filters, matchesLabels } from "#spec/filters.ts";
import type { ImageConfig, ImageRunConfig } from "#spec/image.ts";
import { familiarName, familiarReference, parseReference } from "#spec/reference.ts";
import type { Blobs } from "#store/blobs.ts";
import type { Layers } from "#store/layers.ts";
import type { Emit } from "./emit.ts";
import type { ImageIndex, ImageRecord } from "./image-index.ts";

export interface ImageDetail {
  readonly record: ImageRecord;
  readonly config: ImageConfig;
  /** Familiar names with tags: `alpine:3`. */
  readonly references: readonly string[];
}

export interface HistoryLine {
  /** Undefined for steps whose image is not here. */
  readonly id?: Digest | undefined;
  readonly created: string;
  readonly createdBy: string;
  readonly comment: string;
  readonly sizeBytes: number;
  readonly references: readonly string[];
}

export interface ImagesParts {
  readonly index: ImageIndex;
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly emit: Emit;
  /** Applies Dockerfile instructions (`CMD ["sh"]`) to a config. @throws Fault `invalid`. */
  readonly applyChanges: (config: ImageRunConfig, changes: readonly string[]) => ImageRunConfig;
  readonly platform: { readonly os: string; readonly architecture: string };
  readonly containersOf: (id: Digest) => readonly ContainerRecord[];
  readonly now: () => string;
}

export class Images {
  readonly #parts: ImagesParts;
  readonly #configs = new Map<Digest, ImageConfig>();

  private constructor(parts: ImagesParts) {
    this.#parts = parts;
  }

  /** Reads every image's config once. */
  static async open(parts: ImagesParts): Promise<Images> {
    const images = new Images(parts);
    for (const record of parts.index.list()) {
      const bytes = await parts.blobs.read(record.id);
      images.#configs.set(record.id, JSON.parse(new TextDecoder().decode(bytes)) as ImageConfig);
    }
    return images;
  }

  /**
   * Makes an image of one layer from a file system's tar, plain or compressed.
   * @throws Fault `invalid` on a broken tar, name or change; nothing is kept then.
   */
  async import(
    tar: AsyncIterable<Uint8Array>,
    o: {
      readonly reference?: string | undefined;
      readonly changes: readonly string[];
      readonly message?: string | undefined;
      readonly platform?: string | undefined;
      readonly signal: AbortSignal;
    },
  ): Promise<Digest> {
    const { layers, applyChanges, now } = this.#parts;
    const config = applyChanges({}, o.changes);
    if (o.reference !== undefined) parseReference(o.reference);
    const layer = await layers.apply(undefined, tar, { signal: o.signal });
    const created = now();
    const comment = o.message === undefined || o.message === "" ? "Imported from -" : o.message;
    const id = await this.create({
      config: {
        ...this.#platformOf(o.platform),
        created,
        config,
        rootfs: { type: "layers", diff_ids: [layer.diffId] },
        history: [{ created, comment }],
      },
      chainId: layer.chainId,
    });
    if (o.reference !== undefined) this.#tag(id, o.reference);
    this.#parts.emit("image", "import", id, { name: id });
    return id;
  }

  #platformOf(text: string | undefined): { os: string; architecture: string } {
    if (text === undefined || text === "") return { ...this.#parts.platform };
    const [os = "", architecture = this.#parts.platform.architecture] = text.split("/");
    if (os !== "linux")
      throw new Fault("invalid", `operating system is not supported: ${JSON.stringify(os)}`);
    return { os, architecture };
  }

  /** Stores a config and makes its image. Idempotent: an equal config is the same image. */
  async create(o: {
    readonly config: ImageConfig;
    readonly chainId?: ChainId;
    readonly parent?: Digest;
    readonly intermediate?: boolean;
  }): Promise<Digest> {
    const { blobs, index } = this.#parts;
    const bytes = new TextEncoder().encode(JSON.stringify(o.config));
    const { digest: id } = await blobs.put(once(bytes));
    const known = index.find(id);
    const intermediate = (o.intermediate ?? false) && (known?.intermediate ?? true);
    index.put({
      id,
      ...(o.chainId !== undefined && { chainId: o.chainId }),
      ...(o.parent !== undefined && { parent: o.parent }),
      created: o.config.created ?? "0001-01-01T00:00:00Z",
      sizeBytes: this.#chain(o.chainId).reduce((sum, layer) => sum + layer.sizeBytes, 0),
      intermediate,
    });
    this.#configs.set(id, o.config);
    return id;
  }

  get(reference: string): ImageDetail {
    return this.#detail(this.#parts.index.get(reference));
  }

  list(o: { readonly all: boolean; readonly filters: Filters }): ImageDetail[] {
    const { index } = this.#parts;
    const inUse = new Set(
      index.list().flatMap((image) => (image.parent === undefined ? [] : [image.parent])),
    );
    return index
      .list()
      .map((record) => this.#detail(record))
      .filter(({ record, references }) => {
        const step = record.intermediate || (references.length === 0 && inUse.has(record.id));
        return o.all || !step;
      })
      .filter((detail) => this.#matches(detail, o.filters));
  }

  #matches(detail: ImageDetail, filters: Filters): boolean {
    if (
      filters["dangling"] !== undefined &&
      booleanFilter(filters, "dangling", false) === detail.references.length > 0
    )
      return false;
    if (!matchesLabels(filters["label"], detail.config.config.Labels)) return false;
    const wanted = filters["reference"];
    if (
      wanted !== undefined &&
      !detail.references.some((name) => wanted.some((pattern) => matchesName(pattern, name)))
    )
      return false;
    return this.#withinTime(detail, filters);
  }

  #withinTime(detail: ImageDetail, filters: Filters): boolean {
    const before = (filters["before"] ?? []).map((name) => this.#parts.index.get(name).created);
    const since = (filters["since"] ?? []).map((name) => this.#parts.index.get(name).created);
    const { created } = detail.record;
    return before.every((time) => created < time) && since.every((time) => created > time);
  }

  /** @throws Fault `not-found`, or `invalid` for a malformed target. */
  tag(reference: string, target: string): void {
    this.#tag(this.#parts.index.get(reference).id, target);
  }

  #tag(id: Digest, target: string): void {
    this.#parts.index.tag(id, target);
    this.#parts.emit("image", "tag", id, { name: target });
  }

  /**
   * Takes a name away, and the image with its last name; by id, all names (several need `force`). Parents that nothing
   * names or uses go too, unless `noPrune`.
   * @throws Fault `conflict` naming the container or image in the way.
   */
  async remove(
    reference: string,
    o: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<({ untagged: string } | { deleted: string })[]> {
    const { index } = this.#parts;
    const image = index.get(reference);
    const name = index.nameOf(reference);
    const names = index.names(image.id);
    if (name !== undefined && names.length > 1) return [this.#untag(image.id, name)];
    if (name === undefined && names.length > 1 && !o.force)
      throw new Fault(
        "conflict",
        `conflict: unable to delete ${shortDigest(image.id)} (must be forced) - image is referenced in multiple repositories`,
      );
    this.#checkUnused(image, o.force, name === undefined ? undefined : reference);
    if (index.children(image.id).length > 0) {
      if (names.length === 0)
        throw new Fault(
          "conflict",
          `conflict: unable to delete ${shortDigest(image.id)} (cannot be forced) - image has dependent child images`,
        );
      return names.map((each) => this.#untag(image.id, each));
    }
    const untagged = names.map((each) => this.#untag(image.id, each));
    return [...untagged, ...(await this.#delete(image, o.noPrune))];
  }

  #untag(id: Digest, name: string): { untagged: string } {
    this.#parts.index.untag(name);
    this.#parts.emit("image", "untag", id, { name: id });
    return { untagged: familiarReference(parseReference(name)) };
  }

  /** `name` is the reference as given when it is a name: then only that would go, and the image with it. */
  #checkUnused(image: ImageRecord, force: boolean, name: string | undefined): void {
    const users = this.#parts.containersOf(image.id);
    const [user] = users;
    const running = users.find(
      ({ observed }) => observed.status === "running" || observed.status === "paused",
    );
    const short = shortDigest(image.id);
    if (user !== undefined && name !== undefined && !force)
      throw new Fault(
        "conflict",
        `conflict: unable to remove repository reference ${JSON.stringify(name)} (must force) - container ${shortDigest(user.id)} is using its referenced image ${short}`,
      );
    if (running !== undefined && name === undefined)
      throw new Fault(
        "conflict",
        `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container ${shortDigest(running.id)}`,
      );
    if (user !== undefined && !force)
      throw new Fault(
        "conflict",
        `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container ${shortDigest(user.id)}`,
      );
  }

  /** Deletes the image, its layers that nothing else uses, and, going up, its nameless unused parents. */
  async #delete(image: ImageRecord, noPrune: boolean): Promise<{ deleted: string }[]> {
    const { index, blobs, emit, containersOf } = this.#parts;
    const deleted: { deleted: string }[] = [];
    let doomed: ImageRecord | undefined = image;
    while (doomed !== undefined) {
      if (containersOf(doomed.id).length > 0) break;
      index.delete(doomed.id);
      this.#configs.delete(doomed.id);
      await blobs.delete(doomed.id);
      await this.collectLayers(doomed.chainId);
      emit("image", "delete", doomed.id, { name: doomed.id });
      deleted.push({ deleted: doomed.id });
      const parent: ImageRecord | undefined =
        doomed.parent === undefined ? undefined : index.find(doomed.parent);
      const stays: boolean =
        noPrune ||
        parent === undefined ||
        index.names(parent.id).length > 0 ||
        index.children(parent.id).length > 0;
      doomed = stays ? undefined : parent;
    }
    return deleted;
  }

  /** An image and all it descends from, by id; empty when the reference leads nowhere. */
  lineage(reference: string): Digest[] {
    const ids: Digest[] = [];
    try {
      let at: ImageRecord | undefined = this.#parts.index.get(reference);
      while (at !== undefined) {
        ids.push(at.id);
        at = at.parent === undefined ? undefined : this.#parts.index.find(at.parent);
      }
    } catch (thrown) {
      if (Fault.from(thrown).kind !== "not-found") throw thrown;
    }
    return ids;
  }

  /** Bytes of all files in a stack of layers. */
  layersSize(top: ChainId | undefined): number {
    return this.#chain(top).reduce((sum, layer) => sum + layer.sizeBytes, 0);
  }

  /** Removes layers that no image needs, as those of a build that an engine's death cut off. */
  async collectAllLayers(): Promise<void> {
    const inner = new Set(this.#parts.layers.list().map(({ parent }) => parent));
    for (const { chainId } of this.#parts.layers.list())
      if (!inner.has(chainId)) await this.collectLayers(chainId);
  }

  /** Removes a layer and those below it, down to the first that an image or a container needs. */
  async collectLayers(top: ChainId | undefined): Promise<void> {
    const needed = new Set(
      this.#parts.index.list().flatMap(({ chainId }) => this.#chain(chainId).map((layer) => layer.chainId)),
    );
    for (const layer of this.#chain(top)) {
      if (needed.has(layer.chainId)) return;
      try {
        await this.#parts.layers.remove(layer.chainId);
      } catch (error) {
        // A container's writable layer still stands on it; removing that container collects it.
        if (Fault.from(error).kind === "conflict") return;
        throw error;
      }
    }
  }

  /** Newest step first, as `docker history` prints. */
  history(reference: string): HistoryLine[] {
    const { record, config, references } = this.get(reference);
    const sizes = this.#chain(record.chainId).map((layer) => layer.sizeBytes);
    const lines: HistoryLine[] = [];
    let step: ImageRecord | undefined = record;
    for (const entry of config.history.toReversed()) {
      lines.push({
        id: step?.id,
        created: entry.created ?? "0001-01-01T00:00:00Z",
        createdBy: entry.created_by ?? "",
        comment: entry.comment ?? "",
        sizeBytes: entry.empty_layer === true ? 0 : (sizes.shift() ?? 0),
        references:
          lines.length === 0 ? references : step === undefined ? [] : this.#parts.index.references(step.id),
      });
      step = step?.parent === undefined ? undefined : this.#parts.index.find(step.parent);
    }
    return lines;
  }

  #detail(record: ImageRecord): ImageDetail {
    const config = this.#configs.get(record.id);
    if (config === undefined)
      throw new Fault(
        "internal",
        `the config of image ${record.id} is missing; remove the image and make it again`,
      );
    return { record, config, references: this.#parts.index.references(record.id) };
  }

  /** The layers from the top down. */
  #chain(top: ChainId | undefined): { chainId: ChainId; sizeBytes: number }[] {
    const chain: { chainId: ChainId; sizeBytes: number }[] = [];
    let at = top;
    while (at !== undefined) {
      const layer = this.#parts.layers.get(at);
      if (layer === undefined) break;
      chain.push(layer);
      at = layer.parent;
    }
    return chain;
  }
}

function matchesName(pattern: string, name: string): boolean {
  const reference = parseReference(name);
  const glob = new Bun.Glob(pattern);
  return glob.match(name) || glob.match(familiarName(reference));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
