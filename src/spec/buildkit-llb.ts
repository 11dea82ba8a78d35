/**
 * Pure. What BuildKit's services share: platforms, sources of Dockerfiles, the little of its graph that we speak.
 * Source of names and numbers: moby/buildkit solver/pb/ops.proto, util/apicaps/pb/caps.proto, api/types/worker.proto.
 */
import {
  bool,
  boolMap,
  byteLists,
  bytes,
  int32,
  int64,
  list,
  message,
  messageMap,
  type Read,
  string,
  stringMap,
  strings,
  sub,
} from "./proto-message.ts";

export const PlatformMessage = message({
  Architecture: string(1),
  OS: string(2),
  Variant: string(3),
  OSVersion: string(4),
});

const SourceOp = message({ identifier: string(1), attrs: stringMap(2) });
const OpInput = message({ digest: string(1), index: int64(2) });
/** One node; of its kinds only the one that brings something from outside. */
export const Op = message({
  inputs: list(1, OpInput),
  source: sub(3, SourceOp),
  platform: sub(10, PlatformMessage),
});

const Position = message({ line: int32(1), character: int32(2) });
export const Range = message({ start: sub(1, Position), end: sub(2, Position) });
/** A file that messages point into. `definition` is left aside. */
export const SourceInfo = message({ filename: string(1), data: bytes(2), language: string(4) });

const OpMetadata = message({ ignoreCache: bool(1), description: stringMap(2), caps: boolMap(5) });
/** A graph: marshalled `Op`s, the last of which points to the result. */
export const Definition = message({ def: byteLists(1), metadata: messageMap(2, OpMetadata) });
export type Definition = Read<typeof Definition>;

export const ProgressGroup = message({ id: string(1), name: string(2), weak: bool(3) });

export const ApiCap = message({
  ID: string(1),
  Enabled: bool(2),
  Deprecated: bool(3),
  DisabledReason: string(4),
  DisabledReasonMsg: string(5),
  DisabledAlternative: string(6),
});

export const BuildkitVersion = message({
  package: string(1),
  version: string(2),
  revision: string(3),
  dockerfileVersion: string(4),
});
export const GcPolicy = message({
  all: bool(1),
  keepDuration: int64(2),
  reservedSpace: int64(3),
  filters: strings(4),
  maxUsedSpace: int64(5),
  minFreeSpace: int64(6),
});
export const WorkerRecord = message({
  ID: string(1),
  Labels: stringMap(2),
  platforms: list(3, PlatformMessage),
  GCPolicy: list(4, GcPolicy),
  BuildkitVersion: sub(5, BuildkitVersion),
});

export const CacheOptionsEntry = message({ Type: string(1), Attrs: stringMap(2) });
export const Empty = message({});
export const BytesMessage = message({ data: bytes(1) });
