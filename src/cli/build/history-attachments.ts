/** What lies beside a build's record: where its results come from, what its exporters made. */
import type { BuildHistoryClient } from "#client/build-history.ts";
import type { HistoryRead } from "#spec/buildkit-control.ts";

type Described = NonNullable<HistoryRead["logs"]>;

export interface FoundAttachment {
  /** Empty for the only one there is. */
  readonly platform: string;
  readonly descriptor: Described;
}

interface IndexEntry {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Record<string, string>;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
}

/** By platform and type. */
export async function allAttachments(
  history: BuildHistoryClient,
  { Result, Results }: HistoryRead,
): Promise<FoundAttachment[]> {
  const found: FoundAttachment[] = [];
  for (const descriptor of Result?.Attestations ?? []) found.push({ platform: "", descriptor });
  for (const made of Object.values(Result?.Results ?? {})) found.push(...(await within(history, made, "")));
  for (const [platform, { Attestations, Results: made }] of Object.entries(Results)) {
    for (const descriptor of Attestations) found.push({ platform, descriptor });
    for (const each of Object.values(made)) found.push(...(await within(history, each, platform)));
  }
  const key = ({ platform, descriptor }: FoundAttachment) => `${platform}\0${typeOf(descriptor)}`;
  return found.sort((left, right) => (key(left) < key(right) ? -1 : 1));
}

/** The document, and those an index names. */
async function within(
  history: BuildHistoryClient,
  descriptor: Described,
  platform: string,
): Promise<FoundAttachment[]> {
  if (!(await history.has(descriptor.digest))) return [];
  const isStatement = descriptor.annotations["vnd.docker.reference.type"] === "attestation-manifest";
  const own = isStatement ? [] : [{ platform, descriptor }];
  if (!/(?:image\.index\.v1|manifest\.list\.v2)\+json$/.test(descriptor.mediaType)) return own;
  const text = Buffer.from(await history.read(descriptor.digest)).toString();
  const { manifests } = JSON.parse(text) as { manifests: IndexEntry[] };
  const inner = await Promise.all(
    manifests.map(async ({ platform: of, annotations = {}, ...each }) => {
      const name =
        of === undefined ? platform : [of.os, of.architecture, of.variant].filter(Boolean).join("/");
      return await within(history, { ...each, annotations }, name);
    }),
  );
  return [...own, ...inner.flat()];
}

export function typeOf({ annotations, mediaType }: Described): string {
  return annotations["in-toto.io/predicate-type"] ?? mediaType;
}

const shortTypes: Readonly<Record<string, readonly string[]>> = {
  index: ["application/vnd.oci.image.index.v1+json"],
  manifest: ["application/vnd.oci.image.manifest.v1+json"],
  image: ["application/vnd.oci.image.config.v1+json"],
  provenance: ["https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"],
  sbom: ["https://spdx.dev/Document"],
};

/** The digest of the first that fits. */
export function attachmentOf(
  all: readonly FoundAttachment[],
  {
    type = "",
    platform = "",
  }: { readonly type?: string | undefined; readonly platform?: string | undefined },
): string | undefined {
  const types = type === "" ? undefined : (shortTypes[type] ?? [type]);
  return all.find(
    (each) =>
      (platform === "" || each.platform === platform) &&
      (types === undefined || types.includes(typeOf(each.descriptor))),
  )?.descriptor.digest;
}
