/** Manifests and indexes of our own, the same bytes for the same image: laid out as Docker lays them out. */
import { createHash } from "node:crypto";
import type { Digest } from "#spec/digest.ts";
import { mediaType, type Platform } from "#spec/image.ts";

export interface ManifestDocument {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly mediaType: string;
}

interface LayerForm {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly mediaType: string;
}

/** What Docker's own manifests know; anything else takes OCI's. */
const gzipTypes: readonly string[] = [mediaType.dockerLayerGzip, mediaType.ociLayerGzip];

/** Layers from the bottom up. */
export function makeManifest(
  config: { readonly digest: Digest; readonly size: number },
  layers: readonly LayerForm[],
): ManifestDocument {
  const docker = layers.every((layer) => gzipTypes.includes(layer.mediaType));
  const type = docker ? mediaType.dockerManifest : mediaType.ociManifest;
  return documentOf(type, {
    schemaVersion: 2,
    mediaType: type,
    config: {
      mediaType: docker ? mediaType.dockerConfig : mediaType.ociConfig,
      size: config.size,
      digest: config.digest,
    },
    layers: layers.map((layer) => ({
      mediaType: docker ? mediaType.dockerLayerGzip : ociType(layer.mediaType),
      size: layer.sizeBytes,
      digest: layer.digest,
    })),
  });
}

export function makeIndex(
  manifests: readonly (ManifestDocument & { readonly platform: Platform })[],
): ManifestDocument {
  const type = mediaType.ociIndex;
  return documentOf(type, {
    schemaVersion: 2,
    mediaType: type,
    manifests: manifests.map(({ bytes, digest, mediaType: each, platform }) => ({
      mediaType: each,
      size: bytes.length,
      digest,
      platform: {
        architecture: platform.architecture,
        os: platform.os,
        ...(platform.variant !== undefined && { variant: platform.variant }),
      },
    })),
  });
}

function ociType(type: string): string {
  if (type === mediaType.dockerLayerGzip) return mediaType.ociLayerGzip;
  return type.startsWith("application/vnd.oci.") ? type : mediaType.ociLayer;
}

function documentOf(type: string, value: object): ManifestDocument {
  const bytes = new TextEncoder().encode(JSON.stringify(value, undefined, 3));
  return {
    bytes,
    digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest,
    mediaType: type,
  };
}
