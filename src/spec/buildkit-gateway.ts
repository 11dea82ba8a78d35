/**
 * Pure. BuildKit's LLBBridge service: what its clients ask while a build runs.
 * Source of names and numbers: moby/buildkit frontend/gateway/pb/gateway.proto.
 */
import { ApiCap, CacheOptionsEntry, Definition, Empty, WorkerRecord } from "./buildkit-llb.ts";
import { StatMessage } from "./file-packets.ts";
import { RpcStatus } from "./grpc-status.ts";
import {
  bool,
  bytes,
  bytesMap,
  int32,
  int64,
  list,
  message,
  messageMap,
  type Read,
  string,
  stringMap,
  sub,
  type Written,
} from "./proto-message.ts";
import { method } from "./rpc-method.ts";

const RefMapDeprecated = message({ refs: stringMap(1) });
const Ref = message({ id: string(1), def: sub(2, Definition) });
const RefMap = message({ refs: messageMap(1, Ref) });
export const Result = message({
  refDeprecated: string(1),
  refsDeprecated: sub(2, RefMapDeprecated),
  ref: sub(3, Ref),
  refs: sub(4, RefMap),
  metadata: bytesMap(10),
});
export type Result = Read<typeof Result>;
export type ResultWritten = Written<typeof Result>;

export const GatewaySolveRequest = message({
  Definition: sub(1, Definition),
  Frontend: string(2),
  FrontendOpt: stringMap(3),
  allowResultReturn: bool(5),
  allowResultArrayRef: bool(6),
  CacheImports: list(12, CacheOptionsEntry),
  FrontendInputs: messageMap(13, Definition),
  Evaluate: bool(14),
});
export type GatewaySolveRequest = Read<typeof GatewaySolveRequest>;
const GatewaySolveResponse = message({ ref: string(1), result: sub(3, Result) });

const ReturnRequest = message({ result: sub(1, Result), error: sub(2, RpcStatus) });
const PongResponse = message({
  FrontendAPICaps: list(1, ApiCap),
  LLBCaps: list(2, ApiCap),
  Workers: list(3, WorkerRecord),
});
const FileRange = message({ Offset: int64(1), Length: int64(2) });
const ReadFileRequest = message({
  Ref: string(1),
  FilePath: string(2),
  Range: sub(3, FileRange),
  MountIndex: int32(4),
});
const ReadFileResponse = message({ Data: bytes(1) });
const ReadDirRequest = message({ Ref: string(1), DirPath: string(2), IncludePattern: string(3) });
const ReadDirResponse = message({ entries: list(1, StatMessage) });
const StatFileRequest = message({ Ref: string(1), Path: string(2) });
const StatFileResponse = message({ stat: sub(1, StatMessage) });
const EvaluateRequest = message({ Ref: string(1) });

const path = (name: string): string => `/moby.buildkit.v1.frontend.LLBBridge/${name}`;

/** Names the build that a call of the gateway belongs to. */
export const buildIdHeader = "buildkit-controlapi-buildid";

export const gateway = {
  ping: method(path("Ping"), Empty, PongResponse),
  solve: method(path("Solve"), GatewaySolveRequest, GatewaySolveResponse),
  return: method(path("Return"), ReturnRequest, Empty),
  evaluate: method(path("Evaluate"), EvaluateRequest, Empty),
  readFile: method(path("ReadFile"), ReadFileRequest, ReadFileResponse),
  readDir: method(path("ReadDir"), ReadDirRequest, ReadDirResponse),
  statFile: method(path("StatFile"), StatFileRequest, StatFileResponse),
};
