/**
 * Records of builds with all that belongs to them, in one file that Docker Desktop imports.
 * Source of the shape: docker/buildx util/desktop/bundle: an OCI image layout, packed with gzip, whose manifests have a
 * record as their configuration.
 */
import { createHash } from "node:crypto";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import type { BuildHistoryClient } from "#client/build-history.ts";
import type { HistoryRead } from "#spec/buildkit-control.ts";
import type { LocalState } from "./history-record.ts";

const recordType = "application/vnd.buildkit.historyrecord.v0";
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";

interface Described {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Record<string, string>;
}

export async function* bundleRecords(
  history: BuildHistoryClient,
  records: readonly HistoryRead[],
  states: ReadonlyMap<string, LocalState | undefined>,
): AsyncGenerator<Uint8Array> {
  const blobs = new Map<string, Uint8Array>();
  const document = (mediaType: string, value: unknown): Described => {
    const bytes = Buffer.from(JSON.stringify(value, null, 2));
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const manifests: Described[] = [];
  for (const record of records) {
    const layers: Described[] = [];
    for (const each of linkedTo(record)) {
      if (blobs.has(each.digest)) continue;
      blobs.set(each.digest, await history.read(each.digest));
      layers.push(each);
    }
    const config = document(recordType, recordJson(record, states.get(record.Ref)));
    const manifest = document(manifestType, { schemaVersion: 2, mediaType: manifestType, config, layers });
    manifests.push({ ...manifest, annotations: { "vnd.buildkit.history.reference": record.Ref } });
  }
  const [only] = manifests;
  const top =
    manifests.length === 1 && only !== undefined
      ? { mediaType: only.mediaType, digest: only.digest, size: only.size }
      : document(indexType, { schemaVersion: 2, mediaType: indexType, manifests });
  const index = { schemaVersion: 2, mediaType: indexType, manifests: [top] };
  const tar = pack();
  const file = (name: string, content: Uint8Array): void =>
    void tar.entry({ name, mtime: new Date(0), mode: 0o444 }, Buffer.from(content));
  for (const [digest, bytes] of blobs) file(`blobs/${digest.replace(":", "/")}`, bytes);
  file("index.json", Buffer.from(JSON.stringify(index)));
  file("oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  tar.finalize();
  yield* tar.pipe(createGzip()) as AsyncIterable<Uint8Array>;
}

/** Documents that images are made of go by another type: nobody is to look for their layers. */
function linkedTo({ logs, externalError, Result, Results }: HistoryRead): Described[] {
  const results = [Result, ...Object.values(Results)].filter((each) => each !== undefined);
  const said = results.flatMap(({ Attestations }) => Attestations);
  const made = results
    .flatMap((each) => Object.values(each.Results))
    .map((each) => ({
      ...each,
      mediaType: "application/json",
      annotations: { ...each.annotations, "vnd.export-build.descriptor.mediatype": each.mediaType },
    }));
  return [logs, ...said, ...made, externalError].filter((each) => each !== undefined);
}

/** The record as Go writes it: protobuf's names in JSON, times in two parts. */
function recordJson(record: HistoryRead, localState: LocalState | undefined): object {
  const time = (nano: bigint | undefined) =>
    nano === undefined
      ? undefined
      : { seconds: Number(nano / 1_000_000_000n), nanos: Number(nano % 1_000_000_000n) };
  const described = (each: HistoryRead["logs"]) =>
    each && {
      media_type: each.mediaType,
      digest: each.digest,
      size: each.size,
      annotations: each.annotations,
    };
  const result = (each: NonNullable<HistoryRead["Result"]>) => ({
    Attestations: each.Attestations.map(described),
    Results: Object.fromEntries(Object.entries(each.Results).map(([at, made]) => [at, described(made)])),
  });
  const { error, Result, Results, FrontendAttrs } = record;
  return {
    ...{ Ref: record.Ref, Frontend: record.Frontend, FrontendAttrs: withoutSecrets(FrontendAttrs) },
    Exporters: record.Exporters,
    error: error && { code: error.code, message: error.message },
    ...{ CreatedAt: time(record.CreatedAt), CompletedAt: time(record.CompletedAt) },
    logs: described(record.logs),
    ExporterResponse: record.ExporterResponse,
    Result: Result && result(Result),
    Results: Object.fromEntries(Object.entries(Results).map(([name, each]) => [name, result(each)])),
    ...{ Generation: record.Generation, pinned: record.pinned },
    ...{ numCachedSteps: record.numCachedSteps, numTotalSteps: record.numTotalSteps },
    ...{ numCompletedSteps: record.numCompletedSteps, numWarnings: record.numWarnings },
    externalError: described(record.externalError),
    ...(localState !== undefined && { localState }),
  };
}

/** Of caches only their names: the rest may be keys to them. */
function withoutSecrets(given: Readonly<Record<string, string>>): Record<string, string> {
  const kept = { ...given };
  const imports = kept["cache-imports"];
  if (imports !== undefined) kept["cache-imports"] = cacheNames(imports);
  return kept;
}

function cacheNames(text: string): string {
  try {
    const all = JSON.parse(text) as { Type: string; Attrs?: Record<string, string> }[];
    const named = all.map(({ Type, Attrs = {} }) => ({
      Type,
      Attrs: Object.fromEntries(Object.entries(Attrs).filter(([name]) => name === "scope" || name === "ref")),
    }));
    return JSON.stringify(named);
  } catch {
    return "";
  }
}
