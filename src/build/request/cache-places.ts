/** Pure. Where a build's caches come from and go to: `--cache-from` and `--cache-to`, read. */
import { Fault } from "#spec/fault.ts";
import { parseBoolean } from "#spec/go-values.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/reference.ts";
import { type LayerForm, parseForm } from "#store/layers/layer-form.ts";

export interface CacheEntry {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A cache to read. */
export type CacheSource =
  /** An image's own, or a cache's manifest. */
  | { readonly kind: "registry"; readonly reference: string }
  | { readonly kind: "local"; readonly directory: string; readonly digest: string };

export interface CacheTarget {
  readonly kind: "inline" | "registry" | "local";
  /** In full, of a registry. */
  readonly reference: string;
  /** The client's, of `local`. */
  readonly directory: string;
  /** Steps of every stage, not only those whose layers the result has. */
  readonly all: boolean;
  readonly form: LayerForm | undefined;
  readonly words: "oci" | "docker";
  /** One manifest with a config, as images have it; otherwise a list of blobs. */
  readonly imageManifest: boolean;
  /** A cache that cannot be written does not fail the build. */
  readonly ignoreError: boolean;
}

const sourceOptions = { registry: ["ref", "registry.insecure"], local: ["src", "digest", "tag"] };
const forms = ["compression", "compression-level", "force-compression", "oci-mediatypes", "image-manifest"];
const targetOptions = {
  inline: ["mode", "ignore-error"],
  registry: ["ref", "mode", "ignore-error", "registry.insecure", ...forms],
  local: ["dest", "mode", "ignore-error", "tag", "reset", ...forms],
};

/** @throws Fault `invalid`, naming what there is. */
export function cacheSource({ type, attributes }: CacheEntry): CacheSource {
  if (type !== "registry" && type !== "local")
    throw new Fault(
      "invalid",
      `cache importer ${JSON.stringify(type)} could not be found: there are registry and local`,
    );
  refuseUnknown("importer", type, attributes, sourceOptions[type]);
  if (type === "registry")
    return {
      kind: type,
      reference: fullName(wanted(attributes, "ref", "registry cache importer requires ref")),
    };
  const directory = wanted(attributes, "src", "local cache importer requires src");
  return {
    kind: type,
    directory,
    digest: wanted(attributes, "digest", "local cache importer requires explicit digest"),
  };
}

/** @throws Fault `invalid`, naming what there is. */
export function cacheTarget({ type, attributes }: CacheEntry): CacheTarget {
  if (type !== "inline" && type !== "registry" && type !== "local")
    throw new Fault(
      "invalid",
      `cache exporter ${JSON.stringify(type)} could not be found: there are inline, registry and local`,
    );
  refuseUnknown("exporter", type, attributes, targetOptions[type]);
  const mode = attributes["mode"] || "min";
  if (mode !== "min" && mode !== "max")
    throw new Fault("invalid", `invalid cache mode ${JSON.stringify(mode)}: want min or max`);
  const { compression, "compression-level": level } = attributes;
  const oci = truth(attributes, "oci-mediatypes", true);
  const imageManifest = truth(attributes, "image-manifest", false);
  if (imageManifest && !oci)
    throw new Fault(
      "invalid",
      "image-manifest=true is of OCI's words: it conflicts with oci-mediatypes=false",
    );
  return {
    kind: type,
    reference:
      type === "registry" ? fullName(wanted(attributes, "ref", "registry cache exporter requires ref")) : "",
    directory: type === "local" ? wanted(attributes, "dest", "local cache exporter requires dest") : "",
    all: mode === "max",
    form: compression || level ? parseForm(compression || "gzip", level || undefined) : undefined,
    words: oci ? "oci" : "docker",
    imageManifest,
    ignoreError: truth(attributes, "ignore-error", false),
  };
}

/** What a frontend is told in `cache-imports`, and in the older `cache-from`. @throws Fault `invalid`. */
export function importedEntries(options: Readonly<Record<string, string>>): CacheEntry[] {
  const listed = (options["cache-from"] ?? "").split(",").filter((each) => each !== "");
  const older = listed.map((ref) => ({ type: "registry", attributes: { ref } }));
  const given = options["cache-imports"];
  if (given === undefined || given === "") return older;
  let entries: { Type?: string; Attrs?: Record<string, string> }[];
  try {
    entries = JSON.parse(given);
  } catch (cause) {
    throw new Fault("invalid", "failed to unmarshal cache-imports: it is not JSON", { cause });
  }
  return [...older, ...entries.map(({ Type = "", Attrs = {} }) => ({ type: Type, attributes: Attrs }))];
}

function refuseUnknown(
  what: string,
  type: string,
  attributes: Readonly<Record<string, string>>,
  there: readonly string[],
): void {
  const name = Object.keys(attributes).find((each) => !there.includes(each));
  if (name !== undefined)
    throw new Fault(
      "invalid",
      `cache ${what} ${type} has no option ${JSON.stringify(name)}: there are ${[...there].sort().join(", ")}`,
    );
  if (truth(attributes, "registry.insecure", false))
    throw new Fault(
      "unsupported",
      `cache ${what} option "registry.insecure=true" is not supported: say it to the engine: --insecure-registry`,
    );
}

function wanted(attributes: Readonly<Record<string, string>>, name: string, otherwise: string): string {
  const value = attributes[name];
  if (value === undefined || value === "") throw new Fault("invalid", otherwise);
  return value;
}

function truth(attributes: Readonly<Record<string, string>>, name: string, absent: boolean): boolean {
  const value = attributes[name];
  return value === undefined || value === "" ? absent : parseBoolean(value);
}

function fullName(text: string): string {
  return formatReference(withDefaultTag(parseReference(text)));
}
