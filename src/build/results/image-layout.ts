/**
 * An image as an archive: an OCI image layout, or the same with Docker's `manifest.json`, which `docker load` wants.
 * Promises: documents come first, so that who reads it can unpack layers as they come; equal images make equal archives.
 */
import { archiveNames, blobPath } from "#engine/images/archive-plan.ts";
import { type Descriptor, mediaType } from "#spec/image.ts";
import { familiarReference, parseReference } from "#spec/reference.ts";
import { madeEntry } from "#store/tar/made-entry.ts";
import { endOfArchive, paddingAfter } from "#store/tar/tar-writer.ts";
import { blobsOf, type ComposedImage, type ComposedPlatform } from "./compose-image.ts";

export interface LayoutOptions {
  /** With Docker's own list of images. */
  readonly docker: boolean;
  /** Canonical. */
  readonly names: readonly string[];
  /** RFC 3339. */
  readonly created: string;
  readonly signal: AbortSignal;
}

export async function* imageArchive(image: ComposedImage, o: LayoutOptions): AsyncGenerator<Uint8Array> {
  const blobs = [...blobsOf(image)];
  const isLayer = new Set(
    image.perPlatform.flatMap(({ layers }) => layers.map(({ descriptor }) => descriptor.digest)),
  );
  yield madeEntry("directory", "blobs", 0);
  yield madeEntry("directory", "blobs/sha256", 0);
  yield* file(archiveNames.ociLayout, encode({ imageLayoutVersion: "1.0.0" }));
  yield* file(archiveNames.ociIndex, encode(layoutIndex(image, o)));
  if (o.docker)
    yield* file(archiveNames.dockerManifest, encode(image.perPlatform.map((each) => listed(each, o.names))));
  for (const layers of [false, true])
    for (const { descriptor, read } of blobs) {
      if (isLayer.has(descriptor.digest) !== layers) continue;
      yield madeEntry("file", blobPath(descriptor.digest), descriptor.size);
      for await (const bytes of read(o.signal)) yield bytes;
      yield paddingAfter(descriptor.size);
    }
  yield endOfArchive;
}

/** What a layout's `index.json` says of an image: once for each name. */
export function layoutIndex({ top }: ComposedImage, o: Pick<LayoutOptions, "names" | "created">): object {
  const created = { "org.opencontainers.image.created": o.created };
  const annotated = (more: Readonly<Record<string, string>>): Descriptor => ({
    ...top.descriptor,
    annotations: { ...top.descriptor.annotations, ...more, ...created },
  });
  const named = o.names.map((name) =>
    annotated({
      "io.containerd.image.name": name,
      "org.opencontainers.image.ref.name": parseReference(name).tag ?? "latest",
    }),
  );
  return {
    schemaVersion: 2,
    mediaType: mediaType.ociIndex,
    manifests: named.length === 0 ? [annotated({})] : named,
  };
}

function listed({ config, layers }: ComposedPlatform, names: readonly string[]): object {
  const tags = names.map((name) => familiarReference(parseReference(name)));
  return {
    Config: blobPath(config.descriptor.digest),
    RepoTags: tags.length === 0 ? null : tags,
    Layers: layers.map(({ descriptor }) => blobPath(descriptor.digest)),
  };
}

function* file(name: string, bytes: Uint8Array): Generator<Uint8Array> {
  yield madeEntry("file", name, bytes.length);
  yield bytes;
  yield paddingAfter(bytes.length);
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
