/** Pure. BuildKit's Control service. Source of names and numbers: moby/buildkit api/services/control/control.proto. */
import {
  BuildkitVersion,
  BytesMessage,
  CacheOptionsEntry,
  Definition,
  Empty,
  ProgressGroup,
  Range,
  SourceInfo,
  WorkerRecord,
} from "./buildkit-llb.ts";
import { RpcStatus } from "./grpc-status.ts";
import {
  bool,
  byteLists,
  bytes,
  int32,
  int64,
  list,
  message,
  messageMap,
  numberedMap,
  type Read,
  string,
  stringMap,
  strings,
  sub,
  timestamp,
  type Written,
} from "./proto-message.ts";
import { method } from "./rpc-method.ts";

export const Exporter = message({ Type: string(1), Attrs: stringMap(2) });
export type Exporter = Read<typeof Exporter>;

const CacheOptions = message({
  ExportRefDeprecated: string(1),
  ImportRefsDeprecated: strings(2),
  Exports: list(4, CacheOptionsEntry),
  Imports: list(5, CacheOptionsEntry),
});

export const SolveRequest = message({
  Ref: string(1),
  Definition: sub(2, Definition),
  ExporterDeprecated: string(3),
  ExporterAttrsDeprecated: stringMap(4),
  Session: string(5),
  Frontend: string(6),
  FrontendAttrs: stringMap(7),
  Cache: sub(8, CacheOptions),
  Entitlements: strings(9),
  FrontendInputs: messageMap(10, Definition),
  Internal: bool(11),
  Exporters: list(13, Exporter),
  EnableSessionExporter: bool(14),
});
export type SolveRequest = Read<typeof SolveRequest>;
export const SolveResponse = message({ ExporterResponse: stringMap(1) });

const VertexMessage = message({
  digest: string(1),
  inputs: strings(2),
  name: string(3),
  cached: bool(4),
  started: timestamp(5),
  completed: timestamp(6),
  error: string(7),
  progressGroup: sub(8, ProgressGroup),
});
const VertexStatus = message({
  ID: string(1),
  vertex: string(2),
  name: string(3),
  current: int64(4),
  total: int64(5),
  timestamp: timestamp(6),
  started: timestamp(7),
  completed: timestamp(8),
});
const VertexLog = message({ vertex: string(1), timestamp: timestamp(2), stream: int64(3), msg: bytes(4) });
const VertexWarning = message({
  vertex: string(1),
  level: int64(2),
  short: bytes(3),
  detail: byteLists(4),
  url: string(5),
  info: sub(6, SourceInfo),
  ranges: list(7, Range),
});
export const StatusRequest = message({ Ref: string(1) });
export const StatusResponse = message({
  vertexes: list(1, VertexMessage),
  statuses: list(2, VertexStatus),
  logs: list(3, VertexLog),
  warnings: list(4, VertexWarning),
});
export type StatusRead = Read<typeof StatusResponse>;
export type StatusWritten = Written<typeof StatusResponse>;

const UsageRecord = message({
  ID: string(1),
  Mutable: bool(2),
  InUse: bool(3),
  Size: int64(4),
  CreatedAt: timestamp(6),
  LastUsedAt: timestamp(7),
  UsageCount: int64(8),
  Description: string(9),
  RecordType: string(10),
  Shared: bool(11),
  Parents: strings(12),
});
export type UsageWritten = Written<typeof UsageRecord>;
const PruneRequest = message({
  filter: strings(1),
  all: bool(2),
  keepDuration: int64(3),
  reservedSpace: int64(4),
  maxUsedSpace: int64(5),
  minFreeSpace: int64(6),
});
export type PruneRequest = Read<typeof PruneRequest>;
const DiskUsageRequest = message({ filter: strings(1), ageLimit: int64(2) });
const DiskUsageResponse = message({ record: list(1, UsageRecord) });

const ContentDescriptor = message({
  mediaType: string(1),
  digest: string(2),
  size: int64(3),
  annotations: stringMap(5),
});
const BuildResultInfo = message({
  ResultDeprecated: sub(1, ContentDescriptor),
  Attestations: list(2, ContentDescriptor),
  Results: numberedMap(3, ContentDescriptor),
});
export const BuildHistoryRecord = message({
  Ref: string(1),
  Frontend: string(2),
  FrontendAttrs: stringMap(3),
  Exporters: list(4, Exporter),
  error: sub(5, RpcStatus),
  CreatedAt: timestamp(6),
  CompletedAt: timestamp(7),
  logs: sub(8, ContentDescriptor),
  ExporterResponse: stringMap(9),
  Result: sub(10, BuildResultInfo),
  Results: messageMap(11, BuildResultInfo),
  Generation: int32(12),
  trace: sub(13, ContentDescriptor),
  pinned: bool(14),
  numCachedSteps: int32(15),
  numTotalSteps: int32(16),
  numCompletedSteps: int32(17),
  externalError: sub(18, ContentDescriptor),
  numWarnings: int32(19),
});
export type HistoryRead = Read<typeof BuildHistoryRecord>;
export type HistoryWritten = Written<typeof BuildHistoryRecord>;
export const historyEvent = { started: 0, complete: 1, deleted: 2 } as const;
const BuildHistoryEvent = message({ type: int32(1), record: sub(2, BuildHistoryRecord) });
export type HistoryEventRead = Read<typeof BuildHistoryEvent>;
export type HistoryEventWritten = Written<typeof BuildHistoryEvent>;
const BuildHistoryRequest = message({
  ActiveOnly: bool(1),
  Ref: string(2),
  EarlyExit: bool(3),
  Filter: strings(4),
  Limit: int32(5),
});
export type HistoryRequest = Read<typeof BuildHistoryRequest>;
const UpdateBuildHistoryRequest = message({
  Ref: string(1),
  Pinned: bool(2),
  Delete: bool(3),
  Finalize: bool(4),
});

const ListWorkersRequest = message({ filter: strings(1) });
const ListWorkersResponse = message({ record: list(1, WorkerRecord) });
const InfoResponse = message({ buildkitVersion: sub(1, BuildkitVersion) });

const path = (name: string): string => `/moby.buildkit.v1.Control/${name}`;

export const control = {
  diskUsage: method(path("DiskUsage"), DiskUsageRequest, DiskUsageResponse),
  prune: method(path("Prune"), PruneRequest, UsageRecord),
  solve: method(path("Solve"), SolveRequest, SolveResponse),
  status: method(path("Status"), StatusRequest, StatusResponse),
  session: method(path("Session"), BytesMessage, BytesMessage),
  listWorkers: method(path("ListWorkers"), ListWorkersRequest, ListWorkersResponse),
  info: method(path("Info"), Empty, InfoResponse),
  listenBuildHistory: method(path("ListenBuildHistory"), BuildHistoryRequest, BuildHistoryEvent),
  updateBuildHistory: method(path("UpdateBuildHistory"), UpdateBuildHistoryRequest, Empty),
};
