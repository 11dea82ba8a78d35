/** Pure. What an exporter of images was told: BuildKit's attributes, read. */

import { type Annotation, annotationOf } from "#build/request/annotations.ts";
import { Fault } from "#spec/fault.ts";
import { parseBoolean } from "#spec/go-values.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/reference.ts";
import { type LayerForm, parseForm } from "#store/layers/layer-form.ts";

/** `image` is the engine's store (buildx calls it `moby` there). */
export type ImageExporter = "image" | "oci" | "docker";

export interface ImageExport {
  /** Canonical, with tags. */
  readonly names: readonly string[];
  /** Absent: the exporter's own way. */
  readonly form?: LayerForm | undefined;
  /** Words of OCI (true) or Docker (false) in manifests; absent: the exporter's own. */
  readonly ociTypes?: boolean | undefined;
  readonly annotations: readonly Annotation[];
  /** SOURCE_DATE_EPOCH of the export, milliseconds. */
  readonly epochMs?: number | undefined;
  /** Files are no younger than the epoch. */
  readonly rewriteTimestamp: boolean;
  /** The layers the build made as one; ours alone. */
  readonly squash: boolean;
  /** Attestations also when nobody but the client's own habit asked for them. */
  readonly attestationInline: boolean;
  /** Attestations refer to their image by OCI's `subject`. */
  readonly ociArtifact: boolean;
  /** One archive; otherwise an image layout in a directory. */
  readonly tar: boolean;
  readonly push: boolean;
}

const shared = [
  ...["name", "compression", "compression-level", "force-compression", "oci-mediatypes", "oci-artifact"],
  ...["attestation-inline", "source-date-epoch", "rewrite-timestamp", "prefer-nondist-layers", "squash"],
  // Words of clients that say nothing here: which id they show, and information that no BuildKit writes any more.
  ...["prefer-image-digest", "buildinfo", "buildinfo-attrs", "context", "load"],
];
const known: Readonly<Record<ImageExporter, readonly string[]>> = {
  image: [
    ...shared,
    ...["push", "push-by-digest", "registry.insecure", "unpack", "store", "name-canonical"],
    ...["dangling-name-prefix", "danging-name-empty-only"],
  ],
  oci: [...shared, "tar"],
  docker: [...shared, "tar"],
};
/** What is true when it is not said, and cannot be had otherwise. */
const only: Readonly<Record<string, { readonly value: boolean; readonly why: string }>> = {
  store: { value: true, why: "an image of this engine is always in its store" },
  unpack: { value: true, why: "an image of this engine is always unpacked" },
  "push-by-digest": { value: false, why: "a push goes to a name: give one" },
  "registry.insecure": { value: false, why: "say it to the engine: --insecure-registry" },
  "name-canonical": { value: false, why: "a push gives the image its name by digest" },
  "prefer-nondist-layers": { value: false, why: "all layers here can be distributed" },
};

/** @throws Fault `invalid` for values that mean nothing and attributes there are not; `unsupported` for what is not done. */
export function imageExport(
  exporter: ImageExporter,
  attributes: Readonly<Record<string, string>>,
): ImageExport {
  const annotations: Annotation[] = [];
  for (const [name, value] of Object.entries(attributes)) {
    const annotation = annotationOf(name, value);
    if (annotation !== undefined) annotations.push(annotation);
    else if (!known[exporter].includes(name)) throw unknownAttribute(exporter, name, known[exporter]);
    const wanted = only[name];
    if (wanted !== undefined && value !== "" && flagOf(name, value) !== wanted.value)
      throw new Fault("unsupported", `exporter option "${name}=${value}" is not supported: ${wanted.why}`);
  }
  const flag = (name: string, absent: boolean): boolean => {
    const value = attributes[name];
    return value === undefined ? absent : value === "" || flagOf(name, value);
  };
  const { compression, "compression-level": level } = attributes;
  const form = compression || level ? parseForm(compression || "gzip", level || undefined) : undefined;
  const ociTypes = attributes["oci-mediatypes"] === undefined ? undefined : flag("oci-mediatypes", true);
  const ociArtifact = flag("oci-artifact", false);
  if (ociTypes === false) {
    if (form?.compression === "zstd") throw conflict("compression=zstd");
    if (ociArtifact) throw conflict("oci-artifact=true");
    if (annotations.some(({ level: at }) => at !== "manifest")) throw conflict("annotations");
  }
  return {
    names: namesOf(attributes["name"] ?? ""),
    ...{ form, ociTypes, annotations, ociArtifact },
    epochMs: epochOf(attributes["source-date-epoch"]),
    rewriteTimestamp: flag("rewrite-timestamp", false),
    squash: flag("squash", false),
    attestationInline: flag("attestation-inline", false),
    tar: flag("tar", true),
    push: flag("push", false),
  };
}

export interface FileExport {
  /** A directory for each platform; absent: where there are several. */
  readonly platformSplit?: boolean | undefined;
  /** Before the names of what is said of the files. */
  readonly attestationPrefix: string;
  /** SOURCE_DATE_EPOCH of the export, milliseconds. */
  readonly epochMs?: number | undefined;
}

const ofFiles = ["platform-split", "attestation-prefix", "source-date-epoch", "mode", "name"];

/** @throws Fault `invalid` for options that exporters of files have not. */
export function fileExport(
  exporter: "local" | "tar",
  attributes: Readonly<Record<string, string>>,
): FileExport {
  // There is nothing to annotate, but clients give annotations to every output.
  for (const [name, value] of Object.entries(attributes))
    if (annotationOf(name, value) === undefined && !ofFiles.includes(name))
      throw unknownAttribute(exporter, name, ofFiles);
  const { mode = "copy", "platform-split": split, "attestation-prefix": prefix = "" } = attributes;
  if (mode !== "copy" && mode !== "")
    throw new Fault(
      "unsupported",
      `exporter option "mode=${mode}" is not supported: files are copied, and what else is there stays`,
    );
  if (/[/\0]/.test(prefix))
    throw new Fault("invalid", `invalid attestation-prefix ${JSON.stringify(prefix)}: it is part of a name`);
  return {
    ...(split !== undefined && { platformSplit: split === "" || flagOf("platform-split", split) }),
    attestationPrefix: prefix,
    epochMs: epochOf(attributes["source-date-epoch"]),
  };
}

function unknownAttribute(of: string, name: string, there: readonly string[]): Fault {
  return new Fault(
    "invalid",
    `exporter ${of} has no option ${JSON.stringify(name)}: there are ${[...there].sort().join(", ")}`,
  );
}

function conflict(what: string): Fault {
  return new Fault("invalid", `exporter option "${what}" conflicts with "oci-mediatypes=false"`);
}

function flagOf(name: string, value: string): boolean {
  try {
    return parseBoolean(value);
  } catch (cause) {
    throw new Fault("invalid", `non-bool value specified for ${name}: ${Fault.from(cause).message}`, {
      cause,
    });
  }
}

function epochOf(value: string | undefined): number | undefined {
  if (value === undefined || value === "") return undefined;
  if (/^\d{1,12}$/.test(value)) return Number(value) * 1000;
  throw new Fault("invalid", `invalid source-date-epoch: ${value} is no number of seconds`);
}

/** @throws Fault `invalid` for what cannot be a tag. */
function namesOf(text: string): string[] {
  const names = text.split(",").filter((name) => name !== "");
  return [...new Set(names.map(fullName))];
}

function fullName(text: string): string {
  const reference = parseReference(text);
  if (reference.digest !== undefined) throw new Fault("invalid", "build tag cannot contain a digest");
  return formatReference(withDefaultTag(reference));
}
