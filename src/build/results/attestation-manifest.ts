/**
 * Pure. What is said of an image, as manifests beside it in its index: in-toto statements, as BuildKit attaches them
 * (moby/buildkit docs/attestations/attestation-storage.md), or as OCI's artifacts with a subject, which registries list as
 * referrers.
 */

import { type Predicate, packageUrl } from "#build/request/provenance.ts";
import { encodedDigest } from "#spec/digest.ts";
import { type Descriptor, mediaType, type Platform } from "#spec/image.ts";
import { type ComposedDocument, documentOf } from "./composed-document.ts";

const unknown = { architecture: "unknown", os: "unknown" };
const statementType = "https://in-toto.io/Statement/v0.1";
const payloadType = "application/vnd.in-toto+json";
const artifactType = "application/vnd.docker.attestation.manifest.v1+json";
const emptyType = "application/vnd.oci.empty.v1+json";

export interface Attested {
  readonly manifest: ComposedDocument;
  /** Config, then statements. */
  readonly blobs: readonly ComposedDocument[];
}

export interface AttestOptions {
  /** What the image is going to be called, canonical. */
  readonly names: readonly string[];
  readonly platform: Platform;
  /** With OCI's `subject`. */
  readonly ociArtifact: boolean;
}

export interface Subject {
  readonly name: string;
  readonly digest: { readonly sha256: string };
}

/** What is said, and what of. Source: github.com/in-toto/attestation. */
export function inTotoStatement({ type, value }: Predicate, subject: readonly Subject[]): object {
  return { _type: statementType, predicateType: type, subject, predicate: value };
}

/** `image`: the manifest that all of it is about. */
export function attestationManifest(
  predicates: readonly Predicate[],
  image: Descriptor,
  o: AttestOptions,
): Attested {
  const digest = { sha256: encodedDigest(image.digest) };
  const names = o.names.length === 0 ? ["_"] : o.names.map((name) => packageUrl(name, o.platform));
  const subject = names.map((name) => ({ name, digest }));
  const statements = predicates.map((predicate) => {
    const { type } = predicate;
    const bytes = new TextEncoder().encode(JSON.stringify(inTotoStatement(predicate, subject)));
    return documentOf(payloadType, bytes, { annotations: { "in-toto.io/predicate-type": type } });
  });
  const rootfs = { type: "layers", diff_ids: statements.map(({ descriptor }) => descriptor.digest) };
  const config = o.ociArtifact
    ? documentOf(emptyType, new TextEncoder().encode("{}"))
    : documentOf(
        mediaType.ociConfig,
        new TextEncoder().encode(JSON.stringify({ ...unknown, config: {}, rootfs })),
      );
  const { mediaType: type, size } = image;
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    ...(o.ociArtifact && { artifactType }),
    config: config.descriptor,
    layers: statements.map(({ descriptor }) => descriptor),
    ...(o.ociArtifact && { subject: { mediaType: type, digest: image.digest, size } }),
  };
  const about = {
    annotations: {
      "vnd.docker.reference.type": "attestation-manifest",
      "vnd.docker.reference.digest": image.digest,
    },
    platform: unknown,
  };
  return { manifest: documentOf(mediaType.ociManifest, manifest, about), blobs: [config, ...statements] };
}
