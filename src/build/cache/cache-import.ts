/**
 * Caches from elsewhere: images that carry their own, and caches in registries and directories of the client's.
 * Owns: what was read of them, for one build. Promises: a layer is fetched when a step wants it, and is what the cache says
 * it is, or there is none; a result stands on what the step stands on; a cache that cannot be had or believed is told and
 * passed over.
 * Never: puts what others claim among the cache's own: it is believed for one build, whose user named it.
 */
import { createHash } from "node:crypto";
import type { BuildClient, LentBlobs } from "#build/build-client.ts";
import type { BuildEngine } from "#build/build-engine.ts";
import type { CacheSource } from "#build/request/cache-places.ts";
import { sha256Of } from "#build/request/graph.ts";
import type { BuildProgress } from "#build/request/progress.ts";
import { during } from "#build/request/tell.ts";
import { chainOf } from "#build/results/compose-image.ts";
import { registryHost } from "#build/sources/build-inputs.ts";
import { gathered } from "#engine/images/counted.ts";
import { unpackedBytesMax } from "#engine/images/unpacked-bound.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault, isFault } from "#spec/fault.ts";
import type { Descriptor } from "#spec/image.ts";
import { configBytesMax, readImageConfig } from "#spec/image-config.ts";
import { isImageConfigType, manifestBytesMax, parseManifest } from "#spec/manifest.ts";
import { chainIdOf } from "#store/layers/layer-records.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { StepResult } from "./build-cache.ts";
import {
  type CachedLayer,
  type CachedLayers,
  cacheConfigBytesMax,
  cacheConfigType,
  keyDigest,
  parseCacheConfig,
  parseInlineCache,
} from "./cache-config.ts";

export interface CacheImportParts {
  readonly engine: BuildEngine;
  readonly layers: Pick<Layers, "get" | "apply">;
  readonly client: BuildClient;
  readonly progress: BuildProgress;
  readonly signal: AbortSignal;
}

/** Where documents and layers of a cache are read. */
interface CacheBlobs {
  top(signal: AbortSignal): Promise<Uint8Array>;
  manifest(digest: Digest, signal: AbortSignal): Promise<Uint8Array>;
  read(blob: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

interface ReadCache {
  readonly name: string;
  readonly steps: ReadonlyMap<Digest, CachedLayers>;
  readonly blobs: CacheBlobs | undefined;
}

/** Images of one index that are looked into. */
const imagesMax = 32;

export class ImportedCaches {
  readonly #parts: CacheImportParts;
  readonly #caches: readonly ReadCache[];
  readonly #bringing = new Map<ChainId, Promise<boolean>>();

  private constructor(parts: CacheImportParts, caches: readonly ReadCache[]) {
    this.#parts = parts;
    this.#caches = caches;
  }

  /** Reads what the caches say they have; one that cannot be had is told and passed over. */
  static async open(parts: CacheImportParts, sources: readonly CacheSource[]): Promise<ImportedCaches> {
    const found: ReadCache[] = [];
    for (const source of sources) {
      const name = source.kind === "registry" ? source.reference : source.directory;
      const vertex = {
        digest: sha256Of(`cache ${source.kind} ${name}`),
        name: `importing cache manifest from ${name}`,
        inputs: [],
      };
      try {
        found.push(
          ...(await during(parts.progress, vertex, async () => await readCache(source, name, parts))),
        );
      } catch {
        parts.signal.throwIfAborted();
      }
    }
    return new ImportedCaches(parts, found);
  }

  /**
   * What a step with that key came to elsewhere, its layers brought here. `base` is what the step stands on at the bottom.
   * @throws The signal's reason.
   */
  async find(key: string, base: ChainId | undefined): Promise<StepResult | undefined> {
    if (this.#caches.length === 0) return undefined;
    const digest = keyDigest(key);
    for (const cache of this.#caches) {
      const step = cache.steps.get(digest);
      if (step === undefined) continue;
      const chain = chainIds(step.chain);
      if (base !== undefined && !chain.includes(base)) continue;
      const [chainId, diffId] = [chain.at(-1), step.chain.at(-1)?.diffId];
      if (chainId === undefined || diffId === undefined) continue;
      const bringing = this.#bringing.get(chainId) ?? this.#bring(cache, step, chain);
      this.#bringing.set(chainId, bringing);
      if (await bringing) return { chainId, diffId, createdMs: step.createdMs };
    }
    return undefined;
  }

  /** False when it is not what the cache said. */
  async #bring(cache: ReadCache, { chain }: CachedLayers, ids: readonly ChainId[]): Promise<boolean> {
    const { layers, progress, signal } = this.#parts;
    const first = ids.findIndex((each) => layers.get(each) === undefined);
    if (first < 0) return true;
    const top = ids.at(-1) ?? "";
    const vertex = {
      digest: sha256Of(`bring ${top}`),
      name: `fetching cached layers from ${cache.name}`,
      inputs: [],
    };
    try {
      await during(progress, vertex, async (voice) => {
        for (let at = first; at < chain.length; at++) {
          const [layer, parent] = [chain[at], ids[at - 1]];
          if (layer?.blob === undefined || cache.blobs === undefined)
            throw new Fault("not-found", `layer ${layer?.diffId} of the cache is gone`);
          const { blob, diffId } = layer;
          const told = counted(cache.blobs.read(blob, signal), (bytes) =>
            voice.status(blob.digest, bytes, { total: blob.size }),
          );
          const plainBytesMax = unpackedBytesMax(blob.size);
          await layers.apply(parent, told, { signal, diffId, plainBytesMax });
          voice.status(blob.digest, blob.size, { total: blob.size, done: true });
        }
      });
      return true;
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }
}

async function* counted(source: AsyncIterable<Uint8Array>, tell: (bytes: number) => void) {
  let bytes = 0;
  for await (const part of source) {
    yield part;
    bytes += part.length;
    tell(bytes);
  }
}

function chainIds(chain: readonly CachedLayer[]): ChainId[] {
  const ids: ChainId[] = [];
  for (const { diffId } of chain) ids.push(chainIdOf(ids.at(-1), diffId));
  return ids;
}

async function readCache(source: CacheSource, name: string, parts: CacheImportParts): Promise<ReadCache[]> {
  const { engine, client, signal } = parts;
  if (source.kind === "local") {
    const lent = await client.blobs(`local:${source.directory}`, signal);
    if (lent === undefined) throw new Fault("invalid", `the client lends no cache at ${source.directory}`);
    return await readManifest(name, lentBlobs(lent, source.digest as Digest), signal);
  }
  const here = await hereInline(source.reference, parts);
  if (here !== undefined) return [{ name, steps: here, blobs: undefined }];
  const credentials = await client.credentials(registryHost(source.reference), signal);
  return await readManifest(
    name,
    engine.transfers.artifacts.remote(source.reference, { credentials }),
    signal,
  );
}

/** Of an image that is here. */
async function hereInline(
  reference: string,
  { engine, layers }: CacheImportParts,
): Promise<ReadonlyMap<Digest, CachedLayers> | undefined> {
  try {
    const { record } = engine.images.get(reference);
    const chain = chainOf(record.chainId, layers).map(({ diffId }) => ({ diffId }));
    return parseInlineCache(await engine.images.configBytes(record.id), chain);
  } catch (thrown) {
    if (isFault(thrown, "not-found")) return undefined;
    throw thrown;
  }
}

/** A cache's own manifest, or those of images that carry theirs. */
async function readManifest(name: string, blobs: CacheBlobs, signal: AbortSignal): Promise<ReadCache[]> {
  const top = parseManifest(await blobs.top(signal));
  const listed = top.kind === "index" ? top.manifests : [top.config, ...top.layers];
  const config = listed.find(({ mediaType }) => mediaType === cacheConfigType);
  if (config !== undefined) {
    const bytes = await document(blobs, config, cacheConfigBytesMax, signal);
    return [{ name, blobs, steps: parseCacheConfig(bytes, listed) }];
  }
  if (top.kind === "manifest") return [await readInline(name, blobs, top, signal)];
  const found: ReadCache[] = [];
  for (const { digest, mediaType, platform } of top.manifests.slice(0, imagesMax)) {
    if (platform?.os === "unknown") continue;
    const each = parseManifest(await blobs.manifest(digest, signal), mediaType);
    if (each.kind === "manifest") found.push(await readInline(name, blobs, each, signal));
  }
  return found;
}

async function readInline(
  name: string,
  blobs: CacheBlobs,
  { config, layers }: { readonly config: Descriptor; readonly layers: readonly Descriptor[] },
  signal: AbortSignal,
): Promise<ReadCache> {
  if (!isImageConfigType(config.mediaType)) return { name, blobs, steps: new Map() };
  const bytes = await document(blobs, config, configBytesMax, signal);
  const { diff_ids: diffIds } = readImageConfig(bytes).rootfs;
  if (diffIds.length !== layers.length)
    throw new Fault(
      "invalid",
      `the image has ${layers.length} layers, but its config speaks of ${diffIds.length}`,
    );
  const chain = diffIds.map((diffId, at): CachedLayer => ({ diffId, blob: layers[at] }));
  return { name, blobs, steps: parseInlineCache(bytes, chain) };
}

/** @throws Fault `invalid` for one that is too large, or is not what it is called. */
async function document(
  blobs: CacheBlobs,
  blob: Descriptor,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (blob.size > bytesMax) throw new Fault("invalid", `${blob.digest} is larger than ${bytesMax} bytes`);
  return checked(await gathered(blobs.read(blob, signal)), blob.digest);
}

function checked(bytes: Uint8Array, digest: Digest): Uint8Array {
  const really = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (really !== digest) throw new Fault("invalid", `the cache's ${digest} is really ${really}`);
  return bytes;
}

function lentBlobs(lent: LentBlobs, top: Digest): CacheBlobs {
  const manifest = async (digest: Digest, signal: AbortSignal) => {
    const size = await lent.sizeOf(digest, signal);
    if (size === undefined) throw new Fault("not-found", `the cache has no ${digest}`);
    if (size > manifestBytesMax)
      throw new Fault("invalid", `${digest} is larger than ${manifestBytesMax} bytes`);
    return checked(await gathered(lent.read(digest, signal)), digest);
  };
  return {
    top: async (signal) => await manifest(top, signal),
    manifest,
    // A layer that is not what it is called does not unpack to what it is said to be.
    read: (blob, signal) => lent.read(blob.digest, signal),
  };
}
