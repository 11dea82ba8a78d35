/**
 * Pure. A cache as BuildKit keeps it elsewhere: records of steps by a digest, each with the layers it came to
 * (moby/buildkit cache/remotecache/v1/doc.go). Digests are of our own keys: BuildKit reads such a cache and finds nothing of
 * its own in it, as we find nothing of ours in its caches.
 */
import * as v from "valibot";
import { sha256Of } from "#build/request/graph.ts";
import { type Digest, isDigest } from "#spec/digest.ts";
import { fields, maybe, text } from "#spec/docker-json.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor } from "#spec/image.ts";
import { parseStrictJson } from "#spec/strict-json.ts";

export const cacheConfigType = "application/vnd.buildkit.cacheconfig.v0";
/** Of an image's config: records as base64, whose layers are the image's. */
export const inlineField = "moby.buildkit.cache.v0";
/** What a layer's descriptor says of its plain tar. */
export const plainDigest = "containerd.io/uncompressed";
/** Of one config. */
export const cacheConfigBytesMax = 8 << 20;
const layersMax = 10_000;
const recordsMax = 20_000;
/** As many as one overlay mount is sure to take. */
const chainMax = 127;

/** What a step came to, elsewhere. */
export interface CachedLayers {
  /** From the bottom up. */
  readonly chain: readonly CachedLayer[];
  readonly createdMs: number;
}

export interface CachedLayer {
  /** Absent in an image that is here: its layers are. */
  readonly blob?: Descriptor | undefined;
  readonly diffId: Digest;
}

/** What a step's key is called in a cache. */
export function keyDigest(key: string): Digest {
  return sha256Of(`wherry step\0${key}`);
}

/** What is to be said of one step. */
export interface CacheStep {
  readonly keys: readonly string[];
  /** From the bottom up, by what stands for the whole stack up to it. */
  readonly chain: readonly { readonly chainId: string; readonly diffId: Digest }[];
  readonly createdMs: number;
}

interface Layer {
  readonly blob: Digest;
  readonly parent: number;
  readonly annotations: {
    readonly mediaType: string;
    readonly diffID: Digest;
    readonly size: number;
    readonly createdAt: string;
  };
}

/** The config of a cache, and the blobs its layers are in, in order. */
export function cacheConfig(
  steps: readonly CacheStep[],
  blobOf: (diffId: Digest) => Descriptor,
): { readonly config: object; readonly blobs: readonly Descriptor[] } {
  const layers: Layer[] = [];
  const places = new Map<string, number>();
  const blobs = new Map<Digest, Descriptor>();
  const records: object[] = [];
  for (const { keys, chain, createdMs } of steps) {
    let at = -1;
    for (const { chainId, diffId } of chain) {
      const blob = blobOf(diffId);
      blobs.set(blob.digest, { ...blob, annotations: { ...blob.annotations, [plainDigest]: diffId } });
      const known = places.get(chainId);
      if (known === undefined) {
        const annotations = {
          ...{ mediaType: blob.mediaType, diffID: diffId, size: blob.size, createdAt: iso(createdMs) },
        };
        layers.push({ blob: blob.digest, parent: at, annotations });
        places.set(chainId, layers.length - 1);
      }
      at = known ?? layers.length - 1;
    }
    if (at >= 0)
      for (const key of keys)
        records.push({ digest: keyDigest(key), layers: [{ layer: at, createdAt: iso(createdMs) }] });
  }
  return { config: { layers, records: sorted(records) }, blobs: [...blobs.values()] };
}

/** Of an image's own steps, for its config; `layer` is the place of the last layer of each in the image. */
export function inlineRecords(
  steps: readonly { readonly keys: readonly string[]; readonly layer: number; readonly createdMs: number }[],
): Record<string, string> {
  const records = steps.flatMap(({ keys, layer, createdMs }) =>
    keys.map((key) => ({ digest: keyDigest(key), layers: [{ layer, createdAt: iso(createdMs) }] })),
  );
  return { [inlineField]: Buffer.from(JSON.stringify(sorted(records))).toString("base64") };
}

function sorted(records: readonly object[]): readonly object[] {
  return [...records].sort((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

const digest = v.custom<Digest>((value) => typeof value === "string" && isDigest(value), "no digest");
const whole = v.pipe(v.number(), v.safeInteger());
const recordsSchema = v.pipe(
  v.array(
    fields({
      digest,
      layers: maybe(v.array(fields({ layer: maybe(whole), createdAt: text }))),
      inputs: maybe(v.array(v.unknown())),
    }),
  ),
  v.maxLength(recordsMax),
);
const configSchema = fields({
  layers: maybe(
    v.pipe(
      v.array(
        fields({ blob: digest, parent: maybe(whole), annotations: maybe(fields({ diffID: maybe(digest) })) }),
      ),
      v.maxLength(layersMax),
    ),
  ),
  records: maybe(recordsSchema),
});

/** Steps of a cache, by the digests of their keys. `blobs` are those its manifest lists. @throws Fault `invalid`. */
export function parseCacheConfig(bytes: Uint8Array, blobs: readonly Descriptor[]): Map<Digest, CachedLayers> {
  const { layers = [], records = [] } = parsed(configSchema, bytes);
  const byDigest = new Map(blobs.map((each) => [each.digest, each]));
  const layerAt = (place: number): (CachedLayer & { readonly parent: number }) | undefined => {
    const layer = layers[place];
    const blob = layer === undefined ? undefined : byDigest.get(layer.blob);
    const diffId = layer?.annotations?.diffID ?? (blob?.annotations?.[plainDigest] as Digest | undefined);
    // Go leaves zero out: no parent is said by -1.
    if (layer === undefined || blob === undefined || diffId === undefined || !isDigest(diffId))
      return undefined;
    return { blob, diffId, parent: layer.parent ?? 0 };
  };
  return byKey(records, (place) => {
    const chain: CachedLayer[] = [];
    for (let at = place; at !== -1; ) {
      const layer = layerAt(at);
      // Also what goes round in circles.
      if (layer === undefined || chain.length === chainMax) return undefined;
      chain.unshift({ blob: layer.blob, diffId: layer.diffId });
      at = layer.parent;
    }
    return chain;
  });
}

/** Steps in an image's config: their layers are the image's, from the bottom up. @throws Fault `invalid`. */
export function parseInlineCache(
  imageConfig: Uint8Array,
  layers: readonly CachedLayer[],
): Map<Digest, CachedLayers> {
  const given = (parseStrictJson(imageConfig, "the image's config") as Record<string, unknown>)[inlineField];
  if (typeof given !== "string") return new Map();
  const records = parsed(recordsSchema, Buffer.from(given, "base64"));
  return byKey(records, (place) => (layers[place] === undefined ? undefined : layers.slice(0, place + 1)));
}

type Records = v.InferOutput<typeof recordsSchema>;

function byKey(
  records: Records,
  chainAt: (place: number) => readonly CachedLayer[] | undefined,
): Map<Digest, CachedLayers> {
  const found = new Map<Digest, CachedLayers>();
  for (const { digest: key, layers = [], inputs = [] } of records) {
    // Ours stand for all that leads to a step; BuildKit's are links of a chain.
    if (inputs.length > 0) continue;
    const [first] = layers;
    const chain = first === undefined ? undefined : chainAt(first.layer ?? 0);
    if (chain === undefined || chain.length === 0) continue;
    const createdMs = Date.parse(first?.createdAt ?? "");
    found.set(key, { chain, createdMs: Number.isNaN(createdMs) ? 0 : createdMs });
  }
  return found;
}

function parsed<S extends v.GenericSchema>(schema: S, bytes: Uint8Array): v.InferOutput<S> {
  if (bytes.length > cacheConfigBytesMax)
    throw new Fault("invalid", `the cache's config is larger than ${cacheConfigBytesMax} bytes`);
  const result = v.safeParse(schema, parseStrictJson(bytes, "the cache's config"));
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Fault(
    "invalid",
    `the cache's config is wrong at ${v.getDotPath(issue) ?? "its root"}: ${issue.message}`,
  );
}
