/**
 * A result as the documents and blobs that make an image elsewhere: configs, layers in their compressed form, manifests, and
 * an index where there are several.
 * Promises: equal results composed the same way are the same bytes; a layer that several images have is packed once.
 * Never: knows where it goes.
 */
import { createHash } from "node:crypto";
import { type Annotation, annotationsAt, checkAnnotations } from "#build/request/annotations.ts";
import type { PlatformResult } from "#build/request/build-request.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { type Descriptor, mediaType, type Platform } from "#spec/image.ts";
import { type LayerForm, layerType, packLayer } from "#store/layers/layer-form.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { Spool } from "#store/spool.ts";
import type { Attested } from "./attestation-manifest.ts";
import { type ComposedDocument, documentOf } from "./composed-document.ts";

export interface ComposeOptions {
  readonly form: LayerForm;
  readonly words: "oci" | "docker";
  readonly annotations: readonly Annotation[];
  /** An index also for one image. */
  readonly asIndex: boolean;
  /** What is said of an image, when its manifest is made. */
  readonly attest?: (result: PlatformResult, manifest: Descriptor) => readonly Attested[];
  readonly signal: AbortSignal;
  /** Told of each layer when it is packed. */
  readonly packed?: (layer: ComposedLayer) => void;
}

export interface ComposeParts {
  readonly layers: Pick<Layers, "get" | "tar">;
  /** Keeps packed layers to be read again; without it only what they are called is known afterwards. */
  readonly spool?: Spool | undefined;
}

export interface ComposedLayer {
  readonly descriptor: Descriptor;
  readonly chainId: ChainId;
  readonly diffId: Digest;
  /** As often as one likes, while the spool is there. @throws Fault `internal` without one. */
  read(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface ComposedPlatform {
  readonly platform: Platform;
  readonly result: PlatformResult;
  readonly config: ComposedDocument;
  /** Its descriptor has the platform. */
  readonly manifest: ComposedDocument;
  /** From the bottom up. */
  readonly layers: readonly ComposedLayer[];
  /** Manifests about it, beside it in the index. */
  readonly attached: readonly Attested[];
}

export interface ComposedImage {
  /** The index, or the only manifest. */
  readonly top: ComposedDocument;
  readonly perPlatform: readonly ComposedPlatform[];
  readonly isIndex: boolean;
}

/** @throws Fault `invalid` for annotations that have no place; the signal's reason. */
export async function composeImage(
  results: readonly PlatformResult[],
  parts: ComposeParts,
  o: ComposeOptions,
): Promise<ComposedImage> {
  const isIndex = o.asIndex || results.length > 1;
  checkAnnotations(o.annotations, { platforms: results.map(({ platform }) => platform), isIndex });
  const packing = new Map<Digest, Promise<ComposedLayer>>();
  const perPlatform: ComposedPlatform[] = [];
  for (const result of results) perPlatform.push(await composePlatform(result, { ...parts, packing }, o));
  const [first] = perPlatform;
  if (first === undefined) throw new Fault("internal", "a build ended without a result");
  if (!isIndex) return { top: first.manifest, perPlatform, isIndex };
  const annotations = annotationsAt(o.annotations, "index");
  const about = annotationsAt(o.annotations, "index-descriptor");
  const type = o.words === "oci" ? mediaType.ociIndex : mediaType.dockerList;
  const manifests = [
    ...perPlatform.map(({ manifest }) => manifest.descriptor),
    ...perPlatform.flatMap(({ attached }) => attached.map(({ manifest }) => manifest.descriptor)),
  ];
  const index = { schemaVersion: 2, mediaType: type, manifests, ...(annotations && { annotations }) };
  return { top: documentOf(type, index, about && { annotations: about }), perPlatform, isIndex };
}

/** Everything that is in it, what is named before what names it. */
export function* blobsOf({ perPlatform, top, isIndex }: ComposedImage): Generator<{
  readonly descriptor: Descriptor;
  read(signal: AbortSignal): AsyncIterable<Uint8Array>;
}> {
  const seen = new Set<Digest>();
  for (const { config, manifest, layers, attached } of perPlatform) {
    for (const layer of layers) {
      if (seen.has(layer.descriptor.digest)) continue;
      seen.add(layer.descriptor.digest);
      yield layer;
    }
    for (const document of [config, manifest]) yield readable(document);
    for (const each of attached)
      for (const document of [...each.blobs, each.manifest]) yield readable(document);
  }
  if (isIndex) yield readable(top);
}

function readable({ bytes, descriptor }: ComposedDocument) {
  return {
    descriptor,
    async *read() {
      yield bytes;
    },
  };
}

async function composePlatform(
  result: PlatformResult,
  parts: ComposeParts & { readonly packing: Map<Digest, Promise<ComposedLayer>> },
  o: ComposeOptions,
): Promise<ComposedPlatform> {
  const { platform } = result;
  const layers: ComposedLayer[] = [];
  for (const { chainId, diffId } of chainOf(result.chainId, parts.layers)) {
    const packing = parts.packing.get(diffId) ?? packOne(chainId, diffId, parts, o);
    parts.packing.set(diffId, packing);
    layers.push(await packing);
  }
  const oci = o.words === "oci";
  const config = documentOf(
    oci ? mediaType.ociConfig : mediaType.dockerConfig,
    new TextEncoder().encode(JSON.stringify(result.config)),
  );
  const type = oci ? mediaType.ociManifest : mediaType.dockerManifest;
  const annotations = annotationsAt(o.annotations, "manifest", platform);
  const manifest = {
    schemaVersion: 2,
    mediaType: type,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    ...(annotations && { annotations }),
  };
  const about = annotationsAt(o.annotations, "manifest-descriptor", platform);
  const { architecture, os, variant } = platform;
  const described = { architecture, os, ...(variant !== undefined && { variant }) };
  const made = documentOf(type, manifest, { ...(about && { annotations: about }), platform: described });
  const attached = o.attest?.(result, made.descriptor) ?? [];
  return { platform, result, config, layers, manifest: made, attached };
}

/** From the bottom up. */
export function chainOf(
  top: ChainId | undefined,
  layers: Pick<Layers, "get">,
): { readonly chainId: ChainId; readonly diffId: Digest; readonly tarSizeBytes: number }[] {
  const chain = [];
  for (let at = top; at !== undefined; ) {
    const layer = layers.get(at);
    if (layer === undefined) throw new Fault("internal", `layer ${at} of a build's result is gone`);
    chain.unshift({ chainId: at, diffId: layer.diffId, tarSizeBytes: layer.tarSizeBytes });
    at = layer.parent;
  }
  return chain;
}

/** One layer in the form that is wanted. */
export async function packOne(
  chainId: ChainId,
  diffId: Digest,
  { layers, spool }: ComposeParts,
  o: Pick<ComposeOptions, "form" | "words" | "signal" | "packed">,
): Promise<ComposedLayer> {
  const type = layerType(o.form, o.words);
  if (o.form.compression === "uncompressed") {
    const size = layers.get(chainId)?.tarSizeBytes ?? 0;
    const descriptor = { mediaType: type, digest: diffId, size };
    return { descriptor, chainId, diffId, read: (signal) => layers.tar(chainId, { signal }) };
  }
  const hash = createHash("sha256");
  let size = 0;
  async function* counted() {
    for await (const bytes of packLayer(layers.tar(chainId, { signal: o.signal }), o.form)) {
      hash.update(bytes);
      size += bytes.length;
      yield bytes;
    }
  }
  let path: string | undefined;
  if (spool === undefined) for await (const _ of counted()) o.signal.throwIfAborted();
  else path = await spool.keep(counted(), o.signal);
  const descriptor = { mediaType: type, digest: `sha256:${hash.digest("hex")}` as Digest, size };
  const layer = {
    ...{ descriptor, chainId, diffId },
    read: () => {
      if (spool === undefined || path === undefined)
        throw new Fault("internal", `the packed layer ${descriptor.digest} was not kept`);
      return spool.read(path);
    },
  };
  o.packed?.(layer);
  return layer;
}
