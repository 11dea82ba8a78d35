/**
 * Image manifests and indexes, in Docker's and OCI's media types (OCI image-spec manifest.md, image-index.md; distribution
 * schema 2).
 * Pure. Owns: what a document from a registry or an archive may look like. Promises: a document is one thing only, and the
 * thing its media type says; every size and count has a bound.
 */
import * as v from "valibot";
import { type Digest, isDigest } from "./digest.ts";
import { fields, maybe, text, textMap, texts } from "./docker-json.ts";
import { Fault } from "./fault.ts";
import { type Descriptor, mediaType, type Platform } from "./image.ts";
import { platformRank } from "./platform.ts";
import { parseStrictJson } from "./strict-json.ts";

/** Of one manifest or index. */
export const manifestBytesMax = 4 << 20;
/** As many as one overlay takes (`OVL_MAX_STACK`, 500), with room for what containers have below their changes. */
export const layersMax = 496;
const manifestsMax = 10_000;

export interface ImageManifest {
  readonly kind: "manifest";
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface ImageIndexDocument {
  readonly kind: "index";
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
}

export const indexTypes: readonly string[] = [mediaType.ociIndex, mediaType.dockerList];
export const manifestTypes: readonly string[] = [mediaType.ociManifest, mediaType.dockerManifest];

const digest = v.custom<Digest>((value) => typeof value === "string" && isDigest(value), "no digest");
const descriptorSchema = fields({
  mediaType: v.string(),
  digest,
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  platform: maybe(fields({ architecture: v.string(), os: v.string(), variant: text, "os.version": text })),
  annotations: textMap,
  artifactType: text,
  urls: texts,
});
const documentSchema = fields({
  schemaVersion: v.number(),
  mediaType: text,
  config: maybe(descriptorSchema),
  layers: maybe(v.array(descriptorSchema)),
  manifests: maybe(v.array(descriptorSchema)),
});

/**
 * `contentType` is what came with it: the header, or the descriptor that led here.
 * @throws Fault `invalid`, `unsupported` for formats that nobody makes any more.
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): ImageManifest | ImageIndexDocument {
  if (bytes.length > manifestBytesMax)
    throw new Fault("invalid", `the manifest is larger than ${manifestBytesMax} bytes`);
  const value = parseStrictJson(bytes, "the manifest");
  const parsed = v.safeParse(documentSchema, value);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new Fault("invalid", `the manifest's ${v.getDotPath(issue) ?? "form"} is wrong: ${issue.message}`);
  }
  const document = parsed.output;
  if (document.schemaVersion === 1)
    throw new Fault(
      "unsupported",
      "the manifest has the format of 2014 (schema version 1), which is no longer supported: push the image again with a current tool",
    );
  if (document.manifests !== undefined && (document.config !== undefined || document.layers !== undefined))
    throw new Fault("invalid", "the manifest claims to be an image and an index at once");
  const said = saidType(document.mediaType, contentType);
  if (document.manifests !== undefined) return index(document.manifests, said);
  if (document.config === undefined || document.layers === undefined)
    throw new Fault(
      "invalid",
      "the manifest is neither an image's nor an index: it has no config and layers",
    );
  return manifest(document.config, document.layers, said);
}

/** Its own word and that of whoever handed it on, which must not differ. */
function saidType(own: string | undefined, given: string | undefined): string | undefined {
  const essence = given?.split(";")[0]?.trim().toLowerCase();
  const known = [...indexTypes, ...manifestTypes].find((each) => each === essence);
  if (own !== undefined && known !== undefined && own !== known)
    throw new Fault("invalid", `the manifest says it is ${own}, but was handed out as ${known}`);
  return own ?? known;
}

function index(manifests: Descriptor[], said: string | undefined): ImageIndexDocument {
  const type = said ?? mediaType.ociIndex;
  if (!indexTypes.includes(type))
    throw new Fault("invalid", `the manifest is an index, but says it is ${type}`);
  if (manifests.length > manifestsMax)
    throw new Fault("invalid", `the index has more than ${manifestsMax} entries`);
  return { kind: "index", mediaType: type, manifests };
}

function manifest(config: Descriptor, layers: Descriptor[], said: string | undefined): ImageManifest {
  const type = said ?? mediaType.ociManifest;
  if (!manifestTypes.includes(type))
    throw new Fault("invalid", `the manifest is an image's, but says it is ${type}`);
  if (layers.length > layersMax)
    throw new Fault(
      "invalid",
      `the image has ${layers.length} layers: more than ${layersMax} cannot be mounted`,
    );
  for (const { urls, digest } of [config, ...layers])
    if (urls !== undefined && urls.length > 0)
      throw new Fault(
        "unsupported",
        `layer ${digest} is to be fetched from elsewhere (urls), which is never done`,
      );
  return { kind: "manifest", mediaType: type, config, layers };
}

/** Media types of configs that are an image's; an artifact has others. */
export function isImageConfigType(type: string): boolean {
  return type === mediaType.dockerConfig || type === mediaType.ociConfig;
}

const layerType =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(?:gzip|zstd))?|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.(?:gzip|zstd))?)$/;

/** The first media type in it that no image has: it is an artifact then, a Helm chart or a signature. */
export function foreignTypeIn({ config, layers }: ImageManifest): string | undefined {
  if (!isImageConfigType(config.mediaType)) return config.mediaType;
  return layers.find((layer) => !layerType.test(layer.mediaType))?.mediaType;
}

/**
 * The entry of an index to run on `wanted`; entries that are no image (attestations) are left out.
 * Undefined when there is none.
 */
export function chooseManifest(document: ImageIndexDocument, wanted: Platform): Descriptor | undefined {
  const ranked = runnable(document).flatMap((descriptor) => {
    const rank = descriptor.platform === undefined ? undefined : platformRank(descriptor.platform, wanted);
    return rank === undefined ? [] : [{ descriptor, rank }];
  });
  ranked.sort((a, b) => a.rank - b.rank);
  const alone = runnable(document).length === 1 ? runnable(document)[0] : undefined;
  return ranked[0]?.descriptor ?? (alone?.platform === undefined ? alone : undefined);
}

/** Entries that stand for an image of some platform. */
export function runnable(document: ImageIndexDocument): Descriptor[] {
  return document.manifests.filter(
    ({ mediaType: type, platform, annotations }) =>
      [...manifestTypes, ...indexTypes].includes(type) &&
      platform?.os !== "unknown" &&
      annotations?.["vnd.docker.reference.type"] === undefined,
  );
}
