/** Pure. What a build is to say of itself: BuildKit's `attest:provenance` and `attest:sbom`, read. */

import { csvFields } from "#build/language/run-mount.ts";
import { Fault } from "#spec/fault.ts";
import { parseBoolean } from "#spec/go-values.ts";
import { type FrontendOptions, prefixed } from "./build-options.ts";

export type SlsaVersion = "v0.2" | "v1";

export interface WantedProvenance {
  /** All of the build's steps, arguments and its Dockerfile, or only what it stood on. */
  readonly mode: "min" | "max";
  readonly version: SlsaVersion;
  readonly builderId: string;
  /** The user's word for it. */
  readonly reproducible: boolean;
  /** Nobody asked: buildx adds it by itself. Such a one goes only where `attestation-inline` lets it. */
  readonly inlineOnly: boolean;
}

export interface WantedSbom {
  /** The image whose programs look through the result. */
  readonly generator: string;
  /** For the scanner's environment, behind `BUILDKIT_SCAN_`. */
  readonly parameters: Readonly<Record<string, string>>;
}

export interface WantedAttestations {
  readonly provenance?: WantedProvenance | undefined;
  readonly sbom?: WantedSbom | undefined;
}

const defaultGenerator = "docker/buildkit-syft-scanner:stable-1";
const provenanceOptions = [
  // As clients repeat it.
  "type",
  "mode",
  "version",
  "builder-id",
  "reproducible",
  "inline-only",
  "disabled",
];

/** @throws Fault `invalid` for kinds and options there are not. */
export function wantedAttestations(options: FrontendOptions): WantedAttestations {
  const asked = new Map(
    [
      ...Object.entries(prefixed(options, "build-arg:BUILDKIT_ATTEST_")),
      ...Object.entries(prefixed(options, "attest:")),
    ].map(([kind, text]) => [kind.toLowerCase(), text] as const),
  );
  for (const kind of asked.keys())
    if (kind !== "provenance" && kind !== "sbom")
      throw new Fault(
        "invalid",
        `unknown attestation type ${JSON.stringify(kind)}: there are provenance and sbom`,
      );
  const [provenance, sbom] = [asked.get("provenance"), asked.get("sbom")];
  return {
    ...(provenance !== undefined && { provenance: provenanceOf(fieldsOf(provenance)) }),
    ...(sbom !== undefined && { sbom: sbomOf(fieldsOf(sbom)) }),
  };
}

/** All there is to say of a build, whether its user asked for it or not. */
export function fullProvenance(options: FrontendOptions): WantedProvenance {
  const asked = prefixed(options, "attest:")["provenance"] ?? "";
  const builderId = fieldsOf(asked).get("builder-id") ?? "";
  return { mode: "max", version: "v0.2", builderId, reproducible: false, inlineOnly: false };
}

function fieldsOf(text: string): Map<string, string> {
  const fields = text === "" ? [] : csvFields(text);
  return new Map(
    fields.map((field) => field.split(/=(.*)/s, 2)).map(([name = "", value = ""]) => [name, value]),
  );
}

function provenanceOf(fields: ReadonlyMap<string, string>): WantedProvenance | undefined {
  const odd = [...fields.keys()].find((name) => !provenanceOptions.includes(name));
  if (odd !== undefined)
    throw new Fault(
      "invalid",
      `unknown provenance option ${JSON.stringify(odd)}: there are ${[...provenanceOptions].sort().join(", ")}`,
    );
  const truth = (name: string) => {
    const value = fields.get(name);
    return value !== undefined && (value === "" || parseBoolean(value));
  };
  if (truth("disabled")) return undefined;
  const mode = fields.get("mode") || "min";
  if (mode !== "min" && mode !== "max")
    throw new Fault("invalid", `invalid provenance mode ${JSON.stringify(mode)}: want min or max`);
  const version = fields.get("version") || "v0.2";
  if (version !== "v0.2" && version !== "v1")
    throw new Fault("invalid", `invalid provenance SLSA version: ${version}: want v0.2 or v1`);
  return {
    ...{ mode, version, builderId: fields.get("builder-id") ?? "" },
    ...{ reproducible: truth("reproducible"), inlineOnly: truth("inline-only") },
  };
}

function sbomOf(fields: ReadonlyMap<string, string>): WantedSbom | undefined {
  const { generator, disabled, type: _, ...parameters } = Object.fromEntries(fields);
  if (disabled !== undefined && (disabled === "" || parseBoolean(disabled))) return undefined;
  return { generator: generator || defaultGenerator, parameters };
}
