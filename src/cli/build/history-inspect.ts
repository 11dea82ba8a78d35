/**
 * Pure. All that is known of one build, in the shape of `buildx history inspect`.
 * Source: docker/buildx commands/history/inspect.go.
 */
import { isAbsolute, relative } from "node:path";
import { csvFields } from "#cli/flags/csv.ts";
import { localTime } from "#cli/terminal/timestamp.ts";
import type { HistoryRead } from "#spec/buildkit-control.ts";
import { grpcCode, type RpcStatus } from "#spec/grpc-status.ts";
import { blamedSource } from "./blamed-source.ts";
import { buildName, durationMs, type LocalState, localPlace, started } from "./history-record.ts";

export interface Attachment {
  readonly digest: string;
  readonly platform: string;
  readonly type: string;
}

/** What beside the record is known of it. */
export interface InspectedBuild {
  readonly record: HistoryRead;
  readonly state: LocalState | undefined;
  /** The caller's directory. */
  readonly cwd: string;
  readonly nowMs: number;
  readonly ownPlatform: string;
  readonly attachments: readonly Attachment[];
  /** What it stood on, as its provenance has it. */
  readonly materials: readonly { readonly URI: string; readonly Digests: readonly string[] }[];
  /** With details. */
  readonly error: RpcStatus | undefined;
  /** What the step that failed wrote, its last lines. */
  readonly failed: { readonly name: string; readonly lines: readonly string[] } | undefined;
}

export interface NamedValue {
  readonly Name: string;
  readonly Value: string;
}

const texts = {
  Network: "force-network-mode",
  Hostname: "hostname",
  CgroupParent: "cgroup-parent",
  ImageResolveMode: "image-resolve-mode",
  ShmSize: "shm-size",
  Ulimit: "ulimit",
  Memory: "memory",
  MemorySwap: "memswap",
  CPUShares: "cpushares",
  CPUPeriod: "cpuperiod",
  CPUQuota: "cpuquota",
  CPUSetCPUs: "cpusetcpus",
  CPUSetMems: "cpusetmems",
  CacheMountNS: "build-arg:BUILDKIT_CACHE_MOUNT_NS",
  DockerfileCheckConfig: "build-arg:BUILDKIT_DOCKERFILE_CHECK",
  SourceDateEpoch: "build-arg:SOURCE_DATE_EPOCH",
  SandboxHostname: "build-arg:SANDBOX_HOSTNAME",
} as const;
type TextName = keyof typeof texts;

/** Has a place of its own in the document. */
const placed = [
  ...Object.values(texts),
  ..."context filename target platform multi-platform no-cache add-hosts frontend.caps".split(" "),
  "build-arg:BUILDKIT_MULTI_PLATFORM",
  "build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR",
];

export function inspectDocument(build: InspectedBuild) {
  const { record, state, cwd, nowMs } = build;
  const given = record.FrontendAttrs;
  const local = localPlace(record, state);
  const remote = given["context"] ?? "";
  const isRemote = remote !== "" && !remote.startsWith("local:");
  const start = started(record);
  const platforms = given["platform"]?.split(",") ?? [];
  return {
    Name: buildName(record, state),
    Ref: record.Ref,
    Context: local.context === "" ? remote : within(cwd, local.context),
    Dockerfile: within(local.context, local.dockerfile) || given["filename"] || "",
    VCSRepository: isRemote ? "" : (given["vcs:source"] ?? ""),
    VCSRevision: isRemote ? "" : (given["vcs:revision"] ?? ""),
    Target: given["target"] ?? "",
    Platform: platforms.length === 0 ? [build.ownPlatform] : platforms,
    KeepGitDir: isTrue(given["build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR"]),
    NamedContexts: valuesOf(given, "context:"),
    StartedAt: shortTime(start),
    CompletedAt: record.CompletedAt === undefined ? "" : shortTime(record.CompletedAt),
    Duration: Math.round(durationMs(record, nowMs) * 1e6),
    Status: inspectStatus(record),
    Error: errorOf(build),
    NumCompletedSteps: record.numCompletedSteps,
    NumTotalSteps: record.numTotalSteps,
    NumCachedSteps: record.numCachedSteps,
    BuildArgs: valuesOf(given, "build-arg:").filter(({ Name }) => !placed.includes(`build-arg:${Name}`)),
    Labels: valuesOf(given, "label:"),
    Config: configOf(given),
    Materials: build.materials,
    Attachments: build.attachments.map(({ digest, platform, type }) => ({
      ...{ Digest: digest, Platform: platform, Type: type },
    })),
  };
}
export type InspectDocument = ReturnType<typeof inspectDocument>;

function configOf(given: HistoryRead["FrontendAttrs"]) {
  const found = Object.fromEntries(
    Object.entries(texts).map(([name, attribute]) => [name, given[attribute] ?? ""]),
  ) as Record<TextName, string>;
  const without = given["no-cache"];
  const more = Object.entries(given).filter(
    ([name]) => !placed.includes(name) && !/^(?:vcs|wherry|build-arg|label|context|attest):/.test(name),
  );
  return {
    ...found,
    ExtraHosts: given["add-hosts"] === undefined ? [] : csvFields(given["add-hosts"]),
    MultiPlatform: isTrue(given["multi-platform"] ?? given["build-arg:BUILDKIT_MULTI_PLATFORM"]),
    NoCache: without === "",
    NoCacheFilter: without ? without.split(",") : [],
    RestRaw: more.map(([Name, Value]) => ({ Name, Value })).sort(byName),
  };
}

function errorOf({ record, error, failed }: InspectedBuild) {
  if (record.error === undefined) return undefined;
  return {
    Code: record.error.code,
    Message: record.error.message,
    Name: failed?.name ?? "",
    Logs: failed?.lines ?? [],
    Sources: Buffer.from(blamedSource(error?.details ?? [])).toString("base64"),
  };
}

function inspectStatus({ CompletedAt, error }: HistoryRead) {
  if (CompletedAt === undefined) return "running";
  if (error === undefined) return "completed";
  return error.code === grpcCode.cancelled ? "canceled" : "failed";
}

function valuesOf(given: HistoryRead["FrontendAttrs"], prefix: string): NamedValue[] {
  return Object.entries(given)
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, Value]) => ({ Name: name.slice(prefix.length), Value }))
    .sort(byName);
}

function byName(left: NamedValue, right: NamedValue): number {
  return left.Name < right.Name ? -1 : 1;
}

function isTrue(text: string | undefined): boolean {
  return /^(?:1|t|true)$/i.test(text ?? "");
}

/** Relative when it is below. */
function within(directory: string, path: string): string {
  if (directory === "" || !isAbsolute(path)) return path;
  const inner = relative(directory, path);
  if (inner === "") return ".";
  return inner.startsWith("..") ? path : inner;
}

/** Without zeros that say nothing, as Go writes it. */
function shortTime(nano: bigint): string {
  return localTime(nano).replace(/\.?0+(?=[Z+-][\d:]*$)/, "");
}

/** Go's `omitempty`; numbers of steps, the reference and the configuration are always there. */
export function withoutEmpty(document: InspectDocument): object {
  const always = ["Ref", "NumCompletedSteps", "NumTotalSteps", "NumCachedSteps", "Config"];
  const pruned = (value: unknown, keep: readonly string[]): unknown => {
    if (Array.isArray(value)) return value.map((each) => pruned(each, []));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .map(([name, inner]) => [name, pruned(inner, [])] as const)
        .filter(([name, inner]) => keep.includes(name) || !isEmpty(inner)),
    );
  };
  return pruned(document, always) as object;
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === "" || value === 0 || value === false || isEmptyList(value);
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
