/**
 * What becomes of results as images: records of the engine, or documents and packed layers for elsewhere.
 * Owns: packed layers while they are needed. Promises: an image of the store is listed with all its names, or not at all.
 */
import { join } from "node:path";
import type { Digest } from "#spec/digest.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor, Platform } from "#spec/image.ts";
import { platformRank } from "#spec/platform.ts";
import { familiarReference, parseReference } from "#spec/reference.ts";
import { plainGzip } from "#store/layers/layer-form.ts";
import type { Layers } from "#store/layers/layers.ts";
import { Spool } from "#store/spool.ts";
import type { BuildClient } from "./build-client.ts";
import type { BuildEngine } from "./build-engine.ts";
import { type CacheExportParts, exportCache } from "./cache/cache-export.ts";
import type { Workspaces } from "./files/workspace.ts";
import type { BuildResult, PlatformResult } from "./request/build-request.ts";
import type { CacheTarget } from "./request/cache-places.ts";
import { attestationManifest } from "./results/attestation-manifest.ts";
import { type ComposedImage, type ComposedLayer, composeImage } from "./results/compose-image.ts";
import type { ImageExport, ImageExporter } from "./results/export-attributes.ts";
import { settleTimes } from "./results/settle-times.ts";
import { squash } from "./results/squash.ts";
import { registryHost } from "./sources/build-inputs.ts";

export interface ResultImagesParts {
  readonly engine: BuildEngine;
  readonly layers: Pick<Layers, "get" | "tar" | "apply">;
  readonly workspaces: Workspaces;
  /** A directory for what is there while something comes out. */
  readonly spoolRoot: string;
  readonly platform: Platform;
}

export interface ComposeRequest {
  readonly exporter: ImageExporter;
  readonly wanted: ImageExport;
  readonly signal: AbortSignal;
  readonly packed?: (layer: ComposedLayer) => void;
}

/** Dispose to take packed layers away. */
export interface HeldImage extends AsyncDisposable {
  readonly image: ComposedImage;
}

export class ResultImages {
  readonly #parts: ResultImagesParts;

  constructor(parts: ResultImagesParts) {
    this.#parts = parts;
  }

  /**
   * Makes the result's images, one for each platform, and gives them the names. What was asked for beyond the image itself
   * (annotations, forms of layers) is kept with it, for its pushes.
   * @returns the id of the machine's own, or of the first, and what it is called elsewhere if that is settled.
   */
  async store(
    built: BuildResult,
    o: Omit<ComposeRequest, "exporter">,
  ): Promise<{ readonly id: Digest; readonly image?: ComposedImage | undefined }> {
    const result = await this.#settled(built, o);
    const { images } = this.#parts.engine;
    const names = o.wanted.names.map((name) => familiarReference(parseReference(name)));
    if (isSettled(result, o.wanted) || isAttested(result, o.wanted)) {
      // Only what they are called is of interest: the store has no use for packed layers.
      const { layers } = this.#parts;
      const options = optionsOf(result, { ...o, exporter: "image" });
      const image = await composeImage(result.perPlatform, { layers }, options);
      const ids = await images.keepBuilt({
        names,
        ...(image.isIndex && { index: image.top }),
        images: image.perPlatform.map(
          ({ result: { config, chainId }, manifest, layers: packed, attached }) => ({
            ...{ config, chainId, manifest, attached },
            layers: packed.map(({ diffId, descriptor }) => ({
              diffId,
              descriptor,
              level: options.form.level,
            })),
          }),
        ),
      });
      return { id: this.#own(result, ids), image };
    }
    const ids: Digest[] = [];
    for (const { config, chainId } of result.perPlatform)
      ids.push(await images.create({ config, ...(chainId !== undefined && { chainId }) }));
    const id = this.#own(result, ids);
    for (const name of names)
      if (ids.length > 1) images.tagAll(ids, name);
      else images.tag(id, name);
    return { id };
  }

  /** As documents and packed layers, which can be read until it is disposed. */
  async compose(built: BuildResult, o: ComposeRequest): Promise<HeldImage> {
    const result = await this.#settled(built, o);
    const spool = await Spool.open(join(this.#parts.spoolRoot));
    try {
      const { layers } = this.#parts;
      const image = await composeImage(result.perPlatform, { layers, spool }, optionsOf(result, o));
      return { image, [Symbol.asyncDispose]: async () => await spool[Symbol.asyncDispose]() };
    } catch (thrown) {
      await spool[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** The build's steps as a cache elsewhere. @returns its manifest; undefined when there is nothing to write. */
  async exportCache(
    result: BuildResult,
    target: CacheTarget,
    o: Pick<CacheExportParts, "client" | "tell" | "signal">,
  ): Promise<Descriptor | undefined> {
    const { engine, layers, spoolRoot } = this.#parts;
    return await exportCache(result, target, { engine, layers, spoolRoot, ...o });
  }

  /** In one layer, and as of the moment the exporter is told, where it is asked to. */
  async #settled(
    result: BuildResult,
    { wanted, signal }: Pick<ComposeRequest, "wanted" | "signal">,
  ): Promise<BuildResult> {
    const { epochMs, rewriteTimestamp: files } = wanted;
    const later = epochMs !== undefined && epochMs !== result.epochMs;
    if (!later && !wanted.squash) return result;
    const perPlatform: PlatformResult[] = [];
    for (const each of result.perPlatform) {
      const one = wanted.squash ? await squash(each, this.#parts, signal) : each;
      perPlatform.push(later ? await settleTimes(one, this.#parts.layers, { epochMs, files, signal }) : one);
    }
    return { ...result, perPlatform };
  }

  /** A name of the store to its registry, with all it stands for. @returns its digest there. */
  async push(
    name: string,
    o: {
      readonly client: Pick<BuildClient, "credentials">;
      readonly tell: (message: JsonMessage) => void;
      readonly signal: AbortSignal;
    },
  ): Promise<Digest> {
    const { transfers } = this.#parts.engine;
    const credentials = await o.client.credentials(registryHost(name), o.signal);
    return await transfers.pushTag(name, { credentials, tell: o.tell, signal: o.signal });
  }

  #own({ perPlatform }: BuildResult, ids: readonly Digest[]): Digest {
    const own = perPlatform.findIndex(
      ({ platform }) => platformRank(platform, this.#parts.platform) !== undefined,
    );
    const id = ids[Math.max(own, 0)];
    if (id === undefined) throw new Fault("internal", "a build ended without a result");
    return id;
  }
}

/** Something was asked for that only a manifest can say. */
function isSettled({ perPlatform, multiPlatform }: BuildResult, wanted: ImageExport): boolean {
  return (
    wanted.annotations.length > 0 ||
    wanted.form !== undefined ||
    wanted.ociTypes === true ||
    (multiPlatform && perPlatform.length === 1)
  );
}

/** What of it goes out with the images. */
function predicatesOf({ predicates = [] }: PlatformResult, { attestationInline }: ImageExport) {
  return predicates.filter(({ inlineOnly }) => attestationInline || !inlineOnly);
}

export function isAttested({ perPlatform }: BuildResult, wanted: ImageExport): boolean {
  return perPlatform.some((each) => predicatesOf(each, wanted).length > 0);
}

function optionsOf(result: BuildResult, { exporter, wanted, signal, packed }: ComposeRequest) {
  const { form = plainGzip, annotations, ociTypes } = wanted;
  const attested = isAttested(result, wanted);
  if (attested && ociTypes === false)
    throw new Fault("invalid", 'cannot export attestations with "oci-mediatypes=false"');
  const modern =
    ociTypes ?? (attested || exporter === "oci" || annotations.length > 0 || form.compression === "zstd");
  return {
    ...{ form, annotations, signal },
    words: modern ? ("oci" as const) : ("docker" as const),
    asIndex: result.multiPlatform || attested,
    ...(attested && {
      attest: (each: PlatformResult, manifest: Descriptor) => {
        const predicates = predicatesOf(each, wanted);
        const { names, ociArtifact } = wanted;
        const about = { names, ociArtifact, platform: each.platform };
        return predicates.length === 0 ? [] : [attestationManifest(predicates, manifest, about)];
      },
    }),
    ...(packed !== undefined && { packed }),
  };
}
