/** Pure. A manifest that somebody pushes: what it must be, what it refers to, what a list of referrers says of it. */
import * as v from "valibot";
import { type Digest, isDigest } from "#spec/digest.ts";
import { fields, maybe, text, textMap } from "#spec/docker-json.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor } from "#spec/image.ts";
import { indexTypes, manifestTypes, parseManifest } from "#spec/manifest.ts";
import { parseStrictJson } from "#spec/strict-json.ts";
import type { ReferrerEntry } from "./registry-store.ts";
import { RegistryRefusal } from "./serve-fault.ts";

export interface PushedManifest {
  readonly mediaType: string;
  /** Each must be in the repository. */
  readonly blobs: readonly Digest[];
  readonly manifests: readonly Digest[];
  /** Need not be there (image-spec manifest.md, `subject`). */
  readonly subject?: Digest;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

const emptyConfig = "application/vnd.oci.empty.v1+json";
const digest = v.custom<Digest>((value) => typeof value === "string" && isDigest(value), "no digest");
const aboutSchema = fields({
  subject: maybe(fields({ digest })),
  artifactType: text,
  annotations: textMap,
});

/** @throws RegistryRefusal `MANIFEST_INVALID`. */
export function readPushed(bytes: Uint8Array, contentType: string | undefined): PushedManifest {
  try {
    const document = parseManifest(bytes, contentType);
    const essence = contentType?.split(";")[0]?.trim().toLowerCase();
    if (essence !== undefined && essence !== document.mediaType)
      throw new Fault("invalid", `the manifest is ${document.mediaType}, but was sent as ${essence}`);
    const { subject, artifactType, annotations } = v.parse(
      aboutSchema,
      parseStrictJson(bytes, "the manifest"),
    );
    const config = document.kind === "manifest" ? document.config : undefined;
    if (config?.mediaType === emptyConfig && (artifactType ?? "") === "")
      throw new Fault("invalid", "a manifest with an empty config must say its artifactType");
    const type = artifactType || config?.mediaType;
    // An index may list blobs beside manifests: BuildKit keeps its caches so.
    const listed = document.kind === "index" ? document.manifests : [];
    const parts = document.kind === "manifest" ? [document.config, ...document.layers] : [];
    const [manifests, blobs] = [listed.filter(isManifest), listed.filter((each) => !isManifest(each))];
    return {
      mediaType: document.mediaType,
      blobs: [...parts, ...blobs].map((each) => each.digest),
      manifests: manifests.map((each) => each.digest),
      ...(subject !== undefined && { subject: subject.digest }),
      ...(type !== undefined && { artifactType: type }),
      ...(annotations !== undefined && { annotations }),
    };
  } catch (thrown) {
    throw new RegistryRefusal("MANIFEST_INVALID", Fault.from(thrown).message);
  }
}

function isManifest({ mediaType }: Descriptor): boolean {
  return [...manifestTypes, ...indexTypes].includes(mediaType);
}

export function referrerEntry(manifest: PushedManifest, digest: Digest, size: number): ReferrerEntry {
  const { mediaType, artifactType, annotations } = manifest;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  };
}
