/**
 * Pure. A store of blobs that a BuildKit client lends: image layouts and caches in directories of its own.
 * Source of names and numbers: containerd api/services/content/v1/content.proto; of the header: moby/buildkit session/content.
 */
import { Empty } from "./buildkit-llb.ts";
import { bytes, int32, int64, message, string, stringMap, sub, timestamp } from "./proto-message.ts";
import { method } from "./rpc-method.ts";

const Info = message({
  digest: string(1),
  size: int64(2),
  created: timestamp(3),
  updated: timestamp(4),
  labels: stringMap(5),
});
const InfoRequest = message({ digest: string(1) });
const InfoResponse = message({ info: sub(1, Info) });
const ReadRequest = message({ digest: string(1), offset: int64(2), size: int64(3) });
const ReadResponse = message({ offset: int64(1), data: bytes(2) });
export const WriteRequest = message({
  action: int32(1),
  ref: string(2),
  total: int64(3),
  expected: string(4),
  offset: int64(5),
  data: bytes(6),
  labels: stringMap(7),
});
export const WriteResponse = message({
  action: int32(1),
  started: timestamp(2),
  updated: timestamp(3),
  offset: int64(4),
  total: int64(5),
  digest: string(6),
});
const AbortRequest = message({ ref: string(1) });

export const writeAction = { stat: 0, write: 1, commit: 2 } as const;

const path = (name: string): string => `/containerd.services.content.v1.Content/${name}`;

export const content = {
  info: method(path("Info"), InfoRequest, InfoResponse),
  read: method(path("Read"), ReadRequest, ReadResponse),
  write: method(path("Write"), WriteRequest, WriteResponse),
  abort: method(path("Abort"), AbortRequest, Empty),
};

/** Which of the client's stores is meant. */
export const contentStoreHeader = "buildkit-attachable-store-id";
/** That of an exporter's directory. */
export const exportStore = "export";

/** That of a cache's directory. */
export function cacheStore(directory: string): string {
  return `local:${directory}`;
}
