/**
 * A build's steps as a cache for elsewhere: in a registry or in a directory of the client's, as BuildKit writes them.
 * Promises: what it says of a layer is so; with `mode=min` only what the result has, with `max` all of its stages.
 */

import type { BuildClient } from "#build/build-client.ts";
import type { BuildEngine } from "#build/build-engine.ts";
import type { BuildResult, SolvedStep } from "#build/request/build-request.ts";
import type { CacheTarget } from "#build/request/cache-places.ts";
import { type ComposedLayer, chainOf, packOne } from "#build/results/compose-image.ts";
import { documentOf } from "#build/results/composed-document.ts";
import { registryHost } from "#build/sources/build-inputs.ts";
import type { BuiltDocument } from "#engine/images/built-images.ts";
import { inWords } from "#engine/transfers/remote-artifacts.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { type Descriptor, mediaType } from "#spec/image.ts";
import { plainGzip } from "#store/layers/layer-form.ts";
import type { Layers } from "#store/layers/layers.ts";
import { Spool } from "#store/spool.ts";
import { type CacheStep, cacheConfig, cacheConfigType, plainDigest } from "./cache-config.ts";

export interface CacheExportParts {
  readonly engine: BuildEngine;
  readonly layers: Pick<Layers, "get" | "tar">;
  /** A directory for packed layers while they go out. */
  readonly spoolRoot: string;
  readonly client: BuildClient;
  /** What was done, in BuildKit's words. */
  readonly tell: (what: string) => void;
  readonly signal: AbortSignal;
}

/** @returns the cache's manifest; undefined when there is nothing to write. @throws Fault. */
export async function exportCache(
  result: BuildResult,
  target: CacheTarget,
  parts: CacheExportParts,
): Promise<Descriptor | undefined> {
  const steps = cacheSteps(result, target.all, parts.layers);
  if (steps.length === 0) return undefined;
  return target.kind === "registry"
    ? await toRegistry(steps, target, parts)
    : await toClient(steps, target, parts);
}

/** The steps whose layers are in the result, or all. */
export function cacheSteps(
  { steps = [], perPlatform }: Pick<BuildResult, "steps" | "perPlatform">,
  all: boolean,
  layers: Pick<Layers, "get">,
): CacheStep[] {
  const shown = new Set<ChainId>();
  for (const { chainId } of perPlatform) for (const each of chainOf(chainId, layers)) shown.add(each.chainId);
  return steps.flatMap(({ keys, chainId, createdMs }: SolvedStep) => {
    if (chainId === undefined || (!all && !shown.has(chainId))) return [];
    return [{ keys, createdMs, chain: chainOf(chainId, layers) }];
  });
}

async function toRegistry(
  steps: readonly CacheStep[],
  target: CacheTarget,
  { engine, client, tell, signal }: CacheExportParts,
): Promise<Descriptor> {
  const credentials = await client.credentials(registryHost(target.reference), signal);
  let top: Descriptor | undefined;
  await engine.transfers.artifacts.push(target.reference, {
    ...{ credentials, signal, form: target.form, layers: layersOf(steps) },
    documents: (blobOf) => {
      const documents = documentsOf(steps, target, blobOf);
      top = documents.at(-1)?.descriptor;
      return documents;
    },
    tell: ({ id, status = "" }) => {
      if (id !== undefined && /^(?:Pushed|Layer already|Mounted)/.test(status)) tell(`writing layer ${id}`);
    },
  });
  if (top === undefined) throw new Fault("internal", "a cache was written without a manifest");
  tell(`writing cache manifest ${top.digest}`);
  return top;
}

async function toClient(
  steps: readonly CacheStep[],
  target: CacheTarget,
  parts: CacheExportParts,
): Promise<Descriptor> {
  const { client, layers, tell, signal } = parts;
  const lent = await client.blobs(`local:${target.directory}`, signal);
  if (lent === undefined)
    throw new Fault("invalid", `the client lends no place for a cache at ${target.directory}`);
  await using spool = await Spool.open(parts.spoolRoot);
  const packed = new Map<Digest, ComposedLayer>();
  for (const { chainId, diffId } of layersOf(steps)) {
    const form = target.form ?? plainGzip;
    const layer = await packOne(chainId, diffId, { layers, spool }, { form, words: target.words, signal });
    packed.set(diffId, layer);
    await lent.write(layer, signal);
    tell(`writing layer ${layer.descriptor.digest}`);
  }
  const documents = documentsOf(steps, target, (diffId) => {
    const found = packed.get(diffId);
    if (found === undefined) throw new Fault("internal", `the layer ${diffId} was not packed`);
    return found.descriptor;
  });
  for (const { bytes, descriptor } of documents)
    await lent.write({ descriptor, read: () => once(bytes) }, signal);
  const top = documents.at(-1)?.descriptor;
  if (top === undefined) throw new Fault("internal", "a cache was written without a manifest");
  tell(`writing cache manifest ${top.digest}`);
  return top;
}

async function* once(bytes: Uint8Array) {
  yield bytes;
}

/** Each once. */
function layersOf(steps: readonly CacheStep[]): { readonly chainId: ChainId; readonly diffId: Digest }[] {
  const found = new Map<Digest, ChainId>();
  for (const { chain } of steps)
    for (const { chainId, diffId } of chain) found.set(diffId, chainId as ChainId);
  return [...found].map(([diffId, chainId]) => ({ diffId, chainId }));
}

/** The config, and what lists it with the blobs. */
function documentsOf(
  steps: readonly CacheStep[],
  { words, imageManifest }: CacheTarget,
  blobOf: (diffId: Digest) => Descriptor,
): BuiltDocument[] {
  const { config, blobs } = cacheConfig(steps, (diffId) => {
    const blob = blobOf(diffId);
    return { ...blob, mediaType: inWords(blob.mediaType, words) };
  });
  const written = documentOf(cacheConfigType, new TextEncoder().encode(JSON.stringify(config)));
  const listed = blobs.map((blob) => ({
    ...blob,
    annotations: { [plainDigest]: blob.annotations?.[plainDigest] ?? "" },
  }));
  if (imageManifest) {
    const type = mediaType.ociManifest;
    const value = { schemaVersion: 2, mediaType: type, config: written.descriptor, layers: listed };
    return [written, documentOf(type, value)];
  }
  const type = words === "oci" ? mediaType.ociIndex : mediaType.dockerList;
  const value = { schemaVersion: 2, mediaType: type, manifests: [...listed, written.descriptor] };
  return [written, documentOf(type, value)];
}
