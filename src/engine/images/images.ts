/**
 * The engine's images.
 * Owns: image records, names, config blobs. Promises: an image that is listed has all its layers; removal names what is
 * in the way. Never: builds, or speaks to a registry.
 */

import type { Emit } from "#engine/emit.ts";
import type { ContainerRecord } from "#spec/container.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Filters } from "#spec/filters.ts";
import type { ImageConfig, ImageRunConfig, Platform } from "#spec/image.ts";
import { readImageConfig } from "#spec/image-config.ts";
import { formatPlatform, platformRank } from "#spec/platform.ts";
import { parseReference } from "#spec/reference.ts";
import type { Blobs } from "#store/blobs.ts";
import type { Layers } from "#store/layers/layers.ts";
import { type BuiltImages, keepBuiltImages } from "./built-images.ts";
import { once } from "./counted.ts";
import type { ImageIndex, ImageRecord, Variants } from "./image-index.ts";
import { type ImageDetail, listImages, sharedSizes } from "./image-list.ts";
import { chainOf, ImageRemoval, type Removed } from "./image-removal.ts";
import { type ImageVariant, variantOf } from "./image-variants.ts";
import type { KeptLayers } from "./kept-layers.ts";
import type { Leases } from "./leases.ts";
import type { LayerBlob, ManifestRecord, Provenance } from "./provenance.ts";

export type { ImageDetail, ImageVariant };

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
  readonly provenance: Provenance;
  readonly leases: Leases;
  readonly kept: KeptLayers;
  readonly emit: Emit;
  /** Applies Dockerfile instructions (`CMD ["sh"]`) to a config. @throws Fault `invalid`. */
  readonly applyChanges: (config: ImageRunConfig, changes: readonly string[]) => ImageRunConfig;
  readonly platform: { readonly os: string; readonly architecture: string };
  readonly containersOf: (id: Digest) => readonly ContainerRecord[];
  readonly now: () => string;
}

/** An image made elsewhere, whose layers and blobs are in the store. */
export interface AdoptedImage {
  readonly id: Digest;
  readonly config: ImageConfig;
  readonly chainId: ChainId | undefined;
  /** Canonical names that lead to it, or to another image of the same name for another platform. */
  readonly names: readonly {
    readonly name: string;
    readonly leadsTo: Digest;
    readonly variants?: Variants | undefined;
  }[];
  readonly manifest?: ManifestRecord | undefined;
  /** Compressed forms its layers came in. */
  readonly blobs?: readonly { diffId: Digest; blob: Omit<LayerBlob, "repositories">; repository: string }[];
}

/** Of what does not run here at all. */
const worstRank = 1000;

export class Images {
  readonly #parts: ImagesParts;
  readonly #removal: ImageRemoval;
  readonly #configs = new Map<Digest, ImageConfig>();

  private constructor(parts: ImagesParts) {
    this.#parts = parts;
    this.#removal = new ImageRemoval({ ...parts, forgetConfig: (id) => void this.#configs.delete(id) });
  }

  /** Reads every image's config once. */
  static async open(parts: ImagesParts): Promise<Images> {
    const images = new Images(parts);
    for (const record of parts.index.list())
      images.#configs.set(record.id, readImageConfig(await parts.blobs.read(record.id)));
    return images;
  }

  get platform(): Platform {
    return this.#parts.platform;
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
      ...this.#record(id, o.config, o.chainId),
      ...(o.parent !== undefined && { parent: o.parent }),
      intermediate,
    });
    this.#configs.set(id, o.config);
    return id;
  }

  /** Images that are called something elsewhere already, see `keepBuiltImages`. */
  async keepBuilt(built: BuiltImages): Promise<Digest[]> {
    const { index, blobs, provenance, leases } = this.#parts;
    const create = async (o: Parameters<Images["create"]>[0]) => await this.create(o);
    const tagAll = (ids: readonly Digest[], target: string, top?: Digest) => this.tagAll(ids, target, top);
    const tag = (id: Digest, target: string) => this.tag(id, target);
    return await keepBuiltImages({ index, blobs, provenance, leases, create, tagAll, tag }, built);
  }

  /** Every layer that an image has. */
  layers(): ReadonlySet<ChainId> {
    const { index, layers } = this.#parts;
    const found = new Set<ChainId>();
    for (const { chainId } of index.list())
      for (const each of chainOf(layers, chainId)) {
        if (found.has(each.chainId)) break;
        found.add(each.chainId);
      }
    return found;
  }

  /** A layer stays, and those below it, also when no image has it. Idempotent; survives the engine. */
  keepLayer(chainId: ChainId, owner: string): void {
    this.#parts.kept.keep(chainId, owner);
  }

  /** The layer, and those below it, go unless something else needs them. @returns bytes that became free. */
  async dropLayer(chainId: ChainId): Promise<number> {
    this.#parts.kept.release(chainId);
    const removed = await this.#removal.collectLayers(chainId);
    return removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  #record(id: Digest, config: ImageConfig, chainId: ChainId | undefined): ImageRecord {
    return {
      id,
      ...(chainId !== undefined && { chainId }),
      created: config.created ?? "0001-01-01T00:00:00Z",
      sizeBytes: this.layersSize(chainId),
      intermediate: false,
    };
  }

  /** Records what came from elsewhere, with all its names, in one transaction. */
  adopt(image: AdoptedImage): void {
    const { index, provenance, now } = this.#parts;
    const { id, config, chainId } = image;
    index.transaction(() => {
      const tagged = image.names.length > 0 ? { tagged: now() } : {};
      index.put({ ...this.#record(id, config, chainId), ...index.find(id), ...tagged, intermediate: false });
      for (const { name, leadsTo, variants } of image.names) index.name(leadsTo, name, variants);
      if (image.manifest !== undefined) provenance.addManifest(id, image.manifest);
      for (const { diffId, blob, repository } of image.blobs ?? [])
        provenance.addBlob(diffId, blob, repository);
    });
    this.#configs.set(id, config);
  }

  /**
   * By name, id or a prefix of it; `platform` chooses among what the name stands for.
   * @throws Fault `not-found`, also when it is here for another platform.
   */
  get(reference: string, platform?: Platform): ImageDetail {
    const { index } = this.#parts;
    if (platform === undefined) return this.#detail(index.get(reference));
    const candidates = index.candidates(reference).map((record) => this.#detail(record));
    const ranked = candidates
      .flatMap((detail) => {
        const rank = platformRank(detail.config, platform);
        return rank === undefined ? [] : [{ detail, rank }];
      })
      .sort((a, b) => a.rank - b.rank);
    const [best] = ranked;
    if (best !== undefined) return best.detail;
    const actual = candidates.map(({ config }) => formatPlatform(config)).join(", ");
    throw new Fault(
      "not-found",
      `image with reference ${reference} was found but its platform (${actual}) does not match the specified platform (${formatPlatform(platform)})`,
    );
  }

  /** The config's bytes, with what this engine does not read. @throws Fault `not-found`. */
  async configBytes(id: Digest): Promise<Uint8Array> {
    return await this.#parts.blobs.read(id);
  }

  /** Undefined for what is not here. */
  configOf(id: Digest): ImageConfig | undefined {
    return this.#configs.get(id);
  }

  /** Everything the reference stands for, one per platform. */
  candidates(reference: string): ImageDetail[] {
    return this.#parts.index.candidates(reference).map((record) => this.#detail(record));
  }

  list(o: { readonly all: boolean; readonly filters: Filters }): ImageDetail[] {
    const { index } = this.#parts;
    const records = index.list();
    const references = index.allReferences();
    const images = records.map((record) => ({
      record,
      config: this.#config(record.id),
      references: references.get(record.id) ?? [],
    }));
    const parents = new Set(records.flatMap(({ parent }) => (parent === undefined ? [] : [parent])));
    const variants = new Set(
      index
        .allNames()
        .flatMap(([name, id]) => (index.variants(name)?.images ?? []).filter((each) => each !== id)),
    );
    const createdOf = (reference: string) => index.get(reference).created;
    return listImages({ images, all: o.all, parents, variants, createdOf }, o.filters);
  }

  /** What the image's names stand for on each platform, itself first. */
  variants(id: Digest): ImageVariant[] {
    const { index, provenance, containersOf } = this.#parts;
    const ids = index.names(id).flatMap((name) => index.variants(name)?.images ?? []);
    return [...new Set([id, ...ids])].flatMap((each) => {
      const record = index.find(each);
      if (record === undefined) return [];
      const containers = containersOf(each).map((container) => container.id);
      return [variantOf(this.#detail(record), provenance, containers)];
    });
  }

  /** Bytes of layers that other images have too, by image. */
  sharedSizes(): ReadonlyMap<Digest, number> {
    return sharedSizes(this.#parts.index.list(), ({ chainId }) => chainOf(this.#parts.layers, chainId));
  }

  /** @throws Fault `not-found`, or `invalid` for a malformed target. */
  tag(reference: string, target: string): void {
    const { index } = this.#parts;
    const name = index.nameOf(reference);
    this.#tag(index.get(reference).id, target, name === undefined ? undefined : index.variants(name));
  }

  /**
   * One name for images of several platforms: it leads to the one that runs best here, or else to the first.
   * @throws Fault `invalid` for a malformed target.
   */
  tagAll(ids: readonly Digest[], target: string, index?: Digest): void {
    const rank = (id: Digest) => {
      const config = this.#configs.get(id);
      return (config === undefined ? undefined : platformRank(config, this.platform)) ?? worstRank;
    };
    const images = [...new Set(ids)].sort((a, b) => rank(a) - rank(b));
    const [first] = images;
    if (first === undefined) throw new Fault("internal", `no image was given for the name ${target}`);
    this.#tag(first, target, { images, ...(index !== undefined && { index }) });
  }

  #tag(id: Digest, target: string, variants?: Variants): void {
    const { index, now } = this.#parts;
    const record = index.find(id);
    index.transaction(() => {
      index.tag(id, target, variants);
      if (record !== undefined) index.put({ ...record, tagged: now() });
    });
    this.#parts.emit("image", "tag", id, { name: target });
  }

  /** See `ImageRemoval.remove`. */
  async remove(
    reference: string,
    o: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<Removed[]> {
    return await this.#removal.remove(reference, o);
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
    return chainOf(this.#parts.layers, top).reduce((sum, layer) => sum + layer.sizeBytes, 0);
  }

  /** Removes layers that no image needs, as those of a build that an engine's death cut off. */
  async collectAllLayers(): Promise<void> {
    await this.#removal.collectAllLayers();
  }

  /** Removes a layer and those below it, down to the first that an image, a container or a pull needs. */
  async collectLayers(top: ChainId | undefined): Promise<void> {
    await this.#removal.collectLayers(top);
  }

  /** Removes layers from the bottom up that nothing needs, as of a load that failed. */
  async discardChain(chain: readonly ChainId[]): Promise<void> {
    const top = chain.findLast((each) => this.#parts.layers.get(each) !== undefined);
    await this.#removal.collectLayers(top);
  }

  /** Newest step first, as `docker history` prints. */
  history(reference: string, platform?: Platform): HistoryLine[] {
    const { record, config, references } = this.get(reference, platform);
    const sizes = chainOf(this.#parts.layers, record.chainId).map((layer) => layer.sizeBytes);
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
    return {
      record,
      config: this.#config(record.id),
      references: this.#parts.index.references(record.id),
    };
  }

  #config(id: Digest): ImageConfig {
    const config = this.#configs.get(id);
    if (config === undefined)
      throw new Fault("internal", `the config of image ${id} is missing; remove the image and make it again`);
    return config;
  }
}
