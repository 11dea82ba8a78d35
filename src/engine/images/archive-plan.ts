/**
 * What is in an image archive: Docker's `manifest.json` and OCI's image layout, read together.
 * Pure. Owns: what the documents may look like. Promises: paths are keys into the archive and nothing else.
 */
import * as v from "valibot";
import { type Digest, encodedDigest, parseDigest } from "#spec/digest.ts";
import { fields, maybe, texts } from "#spec/docker-json.ts";
import { Fault } from "#spec/fault.ts";
import { layersMax, parseManifest } from "#spec/manifest.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/reference.ts";
import { parseStrictJson } from "#spec/strict-json.ts";

/** Names of an archive's documents. */
export const archiveNames = {
  dockerManifest: "manifest.json",
  ociIndex: "index.json",
  ociLayout: "oci-layout",
} as const;
const imagesMax = 1000;
const containerdName = "io.containerd.image.name";
const ociName = "org.opencontainers.image.ref.name";

export interface ArchivedImage {
  /** Path of the config in the archive. */
  readonly config: string;
  /** What the config's bytes must have, where the archive says so. */
  readonly digest: Digest | undefined;
  /** Paths from the bottom up. */
  readonly layers: readonly string[];
  /** Canonical, with tags. */
  readonly names: readonly string[];
}

const dockerSchema = v.pipe(
  v.array(
    fields({
      Config: v.string(),
      RepoTags: texts,
      Layers: maybe(v.pipe(v.array(v.string()), v.maxLength(layersMax))),
    }),
  ),
  v.maxLength(imagesMax),
);

/** @throws Fault `invalid`. */
export function dockerImages(bytes: Uint8Array): ArchivedImage[] {
  const parsed = v.safeParse(dockerSchema, parseStrictJson(bytes, archiveNames.dockerManifest));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new Fault(
      "invalid",
      `${archiveNames.dockerManifest} is wrong at ${v.getDotPath(issue) ?? "its root"}: ${issue.message}`,
    );
  }
  return parsed.output.map(({ Config, RepoTags = [], Layers = [] }) => ({
    config: cleanName(Config),
    digest: undefined,
    layers: Layers.map(cleanName),
    names: RepoTags.filter((name) => name !== "<none>:<none>").map(canonical),
  }));
}

/**
 * Follows an image layout's index. `blob` gives a document's bytes by its path. An archive of one platform may keep the whole
 * index: what is missing is left out, unless it must be `complete`.
 * @throws Fault `invalid`.
 */
export function ociImages(
  index: Uint8Array,
  blob: (path: string) => Uint8Array | undefined,
  o: { readonly complete: boolean },
): ArchivedImage[] {
  const images: ArchivedImage[] = [];
  const visit = (
    bytes: Uint8Array,
    type: string | undefined,
    names: readonly string[],
    depth: number,
  ): void => {
    if (images.length > imagesMax || depth > 4)
      throw new Fault("invalid", "the archive's indexes are too deep or too many");
    const document = parseManifest(bytes, type);
    if (document.kind === "index") {
      for (const each of document.manifests) {
        const child = blob(blobPath(each.digest));
        if (child === undefined && o.complete) throw new Fault("invalid", `the archive lacks ${each.digest}`);
        if (child === undefined) continue;
        visit(child, each.mediaType, [...names, ...namesIn(each.annotations)], depth + 1);
      }
      return;
    }
    images.push({
      config: blobPath(document.config.digest),
      digest: document.config.digest,
      layers: document.layers.map(({ digest }) => blobPath(digest)),
      names: [...new Set(names)],
    });
  };
  visit(index, undefined, [], 0);
  return images;
}

export function blobPath(digest: Digest): string {
  const [algorithm = "sha256"] = digest.split(":");
  return `blobs/${algorithm}/${encodedDigest(digest)}`;
}

/** The digest that a path of an image layout promises. */
export function digestOfPath(path: string): Digest | undefined {
  const [, algorithm, hex] = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(path) ?? [];
  return hex === undefined ? undefined : parseDigest(`${algorithm}:${hex}`);
}

function namesIn(annotations: Readonly<Record<string, string>> | undefined): string[] {
  const name = annotations?.[containerdName] ?? annotations?.[ociName];
  // A tag alone names nothing.
  if (name === undefined || !/[/:]/.test(name)) return [];
  return [canonical(name)];
}

function canonical(name: string): string {
  const { digest: _, ...reference } = parseReference(name);
  return formatReference(withDefaultTag(reference));
}

/** `./a/../b` as `b`; what climbs out stays unlike any file. */
export function cleanName(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** Both readings of one archive as one list, an image once, with all its names. */
export function joinImages(all: readonly ArchivedImage[]): ArchivedImage[] {
  const byConfig = new Map<string, ArchivedImage>();
  for (const image of all) {
    const known = byConfig.get(image.config);
    byConfig.set(image.config, {
      ...image,
      ...known,
      digest: known?.digest ?? image.digest,
      names: [...new Set([...(known?.names ?? []), ...image.names])],
    });
  }
  return [...byConfig.values()];
}
