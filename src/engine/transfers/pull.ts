/**
 * Images from registries.
 * Owns: a pull's steps: manifest, platform, config, layers. Promises: what is here already is used; layers are fetched side
 * by side and unpacked in order; the image appears in one transaction or not at all. What a broken pull leaves is kept for
 * the next attempt and cleared away when none comes.
 * Never: speaks HTTP.
 */

import type { Emit } from "#engine/emit.ts";
import { counted, gathered, once } from "#engine/images/counted.ts";
import type { ImageIndex } from "#engine/images/image-index.ts";
import type { Images } from "#engine/images/images.ts";
import type { Leases } from "#engine/images/leases.ts";
import type { AttachedManifest } from "#engine/images/provenance.ts";
import { unpackedBytesMax } from "#engine/images/unpacked-bound.ts";
import type { FetchedBlob, RegistryAccess, RegistryPart, RegistrySource } from "#engine/parts.ts";
import { type ChainId, type Digest, shortDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor, ImageConfig, Platform } from "#spec/image.ts";
import { configBytesMax, readImageConfig } from "#spec/image-config.ts";
import {
  chooseManifest,
  foreignTypeIn,
  type ImageIndexDocument,
  type ImageManifest,
  parseManifest,
} from "#spec/manifest.ts";
import { formatPlatform, platformRank } from "#spec/platform.ts";
import { familiarName, familiarReference, type Reference, repositoryName } from "#spec/reference.ts";
import type { Blobs } from "#store/blobs.ts";
import { chainIdOf, type LayerRecord } from "#store/layers/layer-records.ts";
import type { Layers } from "#store/layers/layers.ts";
import { SharedWork } from "#store/shared-work.ts";
import { keepAttestations } from "./attestations.ts";
import { namesOfPull } from "./pulled-names.ts";
import { LayerProgress, type Tell } from "./transfer-progress.ts";

/** As many downloads as usually run at once; those behind them are said to wait. */
const shownAtOnce = 3;

export interface PullsParts {
  readonly registry: Pick<RegistryPart, "source">;
  readonly blobs: Pick<Blobs, "put">;
  readonly layers: Pick<Layers, "get" | "apply">;
  readonly images: Pick<Images, "adopt" | "platform" | "configOf" | "discardChain">;
  readonly index: ImageIndex;
  readonly leases: Leases;
  readonly emit: Emit;
}

export interface PullOptions extends RegistryAccess {
  /** @default the machine's */
  readonly platform?: Platform | undefined;
  /** An image that is for one platform alone is taken whatever it is for. @default false */
  readonly anyPlatform?: boolean;
  readonly tell: Tell;
}

/** A document and what it is called. */
interface Document {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

/** What a reference came to. */
interface Resolved {
  /** What the tag points at: an index, or the manifest itself. */
  readonly top: Document;
  readonly index: ImageIndexDocument | undefined;
  readonly manifest: ImageManifest;
  /** The manifest's own. */
  readonly own: Document;
}

/** One layer to fetch. */
interface Wanted {
  readonly blob: Descriptor;
  readonly diffId: Digest;
  readonly chainId: ChainId;
  readonly progress: LayerProgress;
}

export class Pulls {
  readonly #parts: PullsParts;
  readonly #unpacking = new SharedWork<ChainId, LayerRecord, never>();

  constructor(parts: PullsParts) {
    this.#parts = parts;
  }

  /** One tag or digest. @throws Fault in Docker's words; before the first `tell` when nothing can be had at all. */
  async pull(reference: Reference, o: PullOptions): Promise<Digest> {
    return await this.#pull(this.#parts.registry.source(reference, o), reference, o);
  }

  /** Every tag of a repository. */
  async pullAll(repository: Reference, o: PullOptions): Promise<void> {
    const source = this.#parts.registry.source(repository, o);
    for (const tag of await source.tags(o.signal)) await this.#pull(source, { ...repository, tag }, o);
  }

  async #pull(source: RegistrySource, reference: Reference, o: PullOptions): Promise<Digest> {
    const { index, layers, emit } = this.#parts;
    const resolved = await this.#resolve(source, reference, o);
    const { manifest, top, own } = resolved;
    const id = manifest.config.digest;
    const configBytes = await readConfig(source, manifest.config, o.signal);
    const config = readImageConfig(configBytes);
    this.#checkPlatform(reference, config, o.anyPlatform === true ? undefined : o.platform);
    const chain = chainIds(config);
    if (chain.length !== manifest.layers.length)
      throw new Fault(
        "invalid",
        `the image has ${manifest.layers.length} layers, but its config speaks of ${chain.length}`,
      );
    using held = this.#parts.leases.hold([...chain, id, own.digest, top.digest]);
    const complete = index.find(id) !== undefined && chain.every((each) => layers.get(each) !== undefined);
    try {
      if (!complete) await this.#fetchLayers(source, wantedLayers(manifest, config, chain, o.tell), o.signal);
    } catch (thrown) {
      // What is wrong stays wrong; what broke off goes on from here the next time.
      held[Symbol.dispose]();
      if (Fault.from(thrown).kind === "invalid") await this.#parts.images.discardChain(chain);
      throw thrown;
    }
    const attached =
      resolved.index === undefined
        ? []
        : await keepAttestations(this.#parts.blobs, source, resolved.index, {
            of: own.digest,
            signal: o.signal,
          });
    const fresh = await this.#keep(reference, resolved, {
      attached,
      bytes: configBytes,
      config,
      chainId: chain.at(-1),
    });
    const shown = familiarReference(reference);
    o.tell({ status: `Digest: ${top.digest}` });
    o.tell({ status: `Status: ${fresh ? "Downloaded newer image" : "Image is up to date"} for ${shown}` });
    emit("image", "pull", shown, { name: familiarName(reference) });
    return id;
  }

  async #resolve(source: RegistrySource, reference: Reference, o: PullOptions): Promise<Resolved> {
    const of = reference.digest ?? reference.tag ?? "latest";
    const found = await source.manifest(of, o.signal);
    o.tell({ status: `Pulling from ${reference.path}`, id: of });
    const document = parseManifest(found.bytes, found.contentType);
    const top = { digest: found.digest, bytes: found.bytes, mediaType: document.mediaType };
    if (document.kind === "manifest") {
      checkIsImage(reference, document);
      return { top, own: top, index: undefined, manifest: document };
    }
    const wanted = o.platform ?? this.#parts.images.platform;
    const chosen = chooseManifest(document, wanted);
    if (chosen === undefined)
      throw new Fault(
        "not-found",
        `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries`,
      );
    const child = await source.manifest(chosen.digest, o.signal);
    const manifest = parseManifest(child.bytes, chosen.mediaType);
    if (manifest.kind === "index")
      throw new Fault(
        "unsupported",
        `${familiarReference(reference)} is an index of indexes: pull one of them by its digest`,
      );
    checkIsImage(reference, manifest);
    const own = { digest: child.digest, bytes: child.bytes, mediaType: manifest.mediaType };
    return { top, own, index: document, manifest };
  }

  #checkPlatform(reference: Reference, config: ImageConfig, wanted: Platform | undefined): void {
    if (config.os !== "linux")
      throw new Fault(
        "invalid",
        `image operating system ${JSON.stringify(config.os)} cannot be used on this platform: operating system is not supported`,
      );
    if (wanted === undefined || platformRank(config, wanted) !== undefined) return;
    throw new Fault(
      "not-found",
      `image with reference ${familiarReference(reference)} was found but its platform (${formatPlatform(config)}) does not match the specified platform (${formatPlatform(wanted)})`,
    );
  }

  async #fetchLayers(source: RegistrySource, all: readonly Wanted[], outer: AbortSignal): Promise<void> {
    const { layers } = this.#parts;
    const first = all.findIndex(({ chainId }) => layers.get(chainId) === undefined);
    const missing = first < 0 ? [] : all.slice(first);
    for (const each of all) each.progress.say(missing.includes(each) ? "Pulling fs layer" : "Already exists");
    for (const { progress } of missing.slice(shownAtOnce)) progress.say("Waiting");
    const stop = new AbortController();
    const signal = AbortSignal.any([outer, stop.signal]);
    const fetching = missing.map(async (each) => await fetchLayer(source, each, signal));
    for (const each of fetching) each.catch(() => undefined);
    try {
      let parent = first > 0 ? all[first - 1]?.chainId : undefined;
      for (const [index, each] of missing.entries()) {
        const fetched = await fetching[index];
        if (fetched !== undefined) await this.#unpack(parent, each, fetched, signal);
        parent = each.chainId;
      }
    } finally {
      stop.abort(new Fault("cancelled", "another layer could not be pulled"));
      for (const each of await Promise.allSettled(fetching))
        if (each.status === "fulfilled") await each.value[Symbol.asyncDispose]();
    }
  }

  /** Two pulls of one image unpack its layers once. */
  async #unpack(
    parent: ChainId | undefined,
    wanted: Wanted,
    blob: FetchedBlob,
    signal: AbortSignal,
  ): Promise<void> {
    const { layers } = this.#parts;
    const { chainId, diffId, progress } = wanted;
    const { size } = wanted.blob;
    const count = (bytes: number) => progress.count("Extracting", bytes, size);
    try {
      await this.#unpacking.join(
        chainId,
        async (shared) =>
          layers.get(chainId) ??
          (await layers.apply(parent, counted(blob.read(), count), {
            ...{ signal: shared, diffId, plainBytesMax: unpackedBytesMax(size) },
          })),
        { signal, tell: () => undefined },
      );
    } catch (thrown) {
      const { kind, message } = Fault.from(thrown);
      // What cannot be unpacked now can never be.
      if (kind === "invalid") blob.spend();
      throw new Fault(kind, `failed to register layer: ${message}`, { cause: thrown });
    }
    blob.spend();
    progress.say("Pull complete");
  }

  /** @returns False when the reference meant this image before. */
  async #keep(
    reference: Reference,
    { manifest, top, own, index: document }: Resolved,
    image: {
      readonly attached: readonly AttachedManifest[];
      readonly bytes: Uint8Array;
      readonly config: ImageConfig;
      readonly chainId: ChainId | undefined;
    },
  ): Promise<boolean> {
    const { blobs, images, index } = this.#parts;
    const { config, chainId } = image;
    const id = manifest.config.digest;
    await blobs.put(once(image.bytes), { digest: id });
    for (const { bytes, digest } of own === top ? [own] : [own, top])
      await blobs.put(once(bytes), { digest });
    const { names, fresh } = namesOfPull({
      reference,
      ...{ id, index, topDigest: top.digest, isIndex: document !== undefined },
      ranksHere: (other) => {
        const of = other === id ? config : images.configOf(other);
        return of === undefined ? undefined : platformRank(of, images.platform);
      },
    });
    const repository = repositoryName(reference);
    images.adopt({
      ...{ id, config, chainId, names },
      manifest: {
        ...{ digest: own.digest, mediaType: own.mediaType, sizeBytes: own.bytes.length },
        ...(image.attached.length > 0 && { attached: image.attached }),
      },
      blobs: manifest.layers.map(({ digest, size, mediaType }, at) => ({
        diffId: config.rootfs.diff_ids[at] ?? digest,
        blob: { digest, sizeBytes: size, mediaType },
        repository,
      })),
    });
    return fresh;
  }
}

async function fetchLayer(source: RegistrySource, { blob, progress }: Wanted, signal: AbortSignal) {
  return await source.fetch(blob, {
    signal,
    tell: (news) => {
      if (news.kind === "receiving") progress.count("Downloading", news.receivedBytes, news.totalBytes);
      else if (news.kind === "waiting")
        progress.say(`Retrying in ${news.seconds} second${news.seconds === 1 ? "" : "s"}`);
      else {
        progress.say("Verifying Checksum");
        progress.say("Download complete");
      }
    },
  });
}

async function readConfig(
  source: RegistrySource,
  blob: Descriptor,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (blob.size > configBytesMax)
    throw new Fault("invalid", `the image's config is larger than ${configBytesMax} bytes`);
  await using fetched = await source.fetch(blob, { signal, tell: () => undefined });
  const bytes = await gathered(fetched.read());
  fetched.spend();
  return bytes;
}

function checkIsImage(reference: Reference, manifest: ImageManifest): void {
  const type = foreignTypeIn(manifest);
  if (type === undefined) return;
  throw new Fault(
    "unsupported",
    `unsupported media type ${type}: ${familiarReference(reference)} is no image but an artifact, for the tool that made it`,
  );
}

/** From the bottom up. */
export function chainIds(config: ImageConfig): ChainId[] {
  const chain: ChainId[] = [];
  for (const diffId of config.rootfs.diff_ids) chain.push(chainIdOf(chain.at(-1), diffId));
  return chain;
}

function wantedLayers(
  { layers }: ImageManifest,
  config: ImageConfig,
  chain: readonly ChainId[],
  tell: Tell,
): Wanted[] {
  return layers.flatMap((blob, at) => {
    const [diffId, chainId] = [config.rootfs.diff_ids[at], chain[at]];
    if (diffId === undefined || chainId === undefined) return [];
    return [{ blob, diffId, chainId, progress: new LayerProgress(tell, shortDigest(blob.digest)) }];
  });
}
