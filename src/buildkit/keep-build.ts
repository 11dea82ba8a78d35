/** What is kept of a build when it is over: what it told, how it failed, where its results come from. */
import type { BuildResult } from "#build/request/build-request.ts";
import type { ComposedImage } from "#build/results/compose-image.ts";
import { control } from "#spec/buildkit-control.ts";
import { type GrpcError, RpcStatus } from "#spec/grpc-status.ts";
import type { Descriptor } from "#spec/image.ts";
import { formatPlatform } from "#spec/platform.ts";
import type { HistoryDocuments } from "./history-documents.ts";
import type { KeptDocuments } from "./made-build.ts";
import type { StatusFeed } from "./status-feed.ts";

/** As BuildKit calls them, misspelt as it is there. */
const logType = "application/vnd.buildkit.status.v0";
const errorType = "application/vnd.googeapis.google.rpc.status+proto";
const statementType = "application/vnd.in-toto+json";

export interface EndedBuild {
  readonly feed: StatusFeed;
  readonly result: BuildResult | undefined;
  /** By the exporter's number. */
  readonly images: ReadonlyMap<number, ComposedImage>;
  readonly error: GrpcError | undefined;
}

/** @throws Fault `unavailable` on a full disk. */
export async function keepBuild(documents: HistoryDocuments, build: EndedBuild): Promise<KeptDocuments> {
  const { feed, result, images, error } = build;
  const provenance: KeptDocuments["provenance"][number][] = [];
  for (const each of result?.perPlatform ?? []) {
    const predicate = result?.provenance?.(each);
    if (predicate === undefined) continue;
    const { type, value } = predicate;
    const descriptor = await documents.put(statementType, [Buffer.from(JSON.stringify(value, null, 2))]);
    const described = { ...descriptor, annotations: { "in-toto.io/predicate-type": type } };
    const several = result?.multiPlatform === true || (result?.perPlatform.length ?? 0) > 1;
    provenance.push({ descriptor: described, ...(several && { platform: formatPlatform(each.platform) }) });
  }
  const results: KeptDocuments["results"][number][] = [];
  const inner: Descriptor[] = [];
  for (const [index, image] of images) {
    const { bytes, descriptor } = image.top;
    await documents.put(descriptor.mediaType, [bytes]);
    results.push({ index, descriptor });
    if (image.isIndex)
      for (const { manifest } of image.perPlatform)
        inner.push(await documents.put(manifest.descriptor.mediaType, [manifest.bytes]));
  }
  const status = error && RpcStatus.encode(error.status);
  return {
    logs: await documents.put(logType, framed(feed)),
    error: status && (await documents.put(errorType, [status])),
    ...{ provenance, results, inner },
  };
}

/** Written at a time. */
const batchBytes = 256 << 10;

function* framed(feed: StatusFeed): Generator<Uint8Array> {
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for (const message of feed.told()) {
    const encoded = control.status.response.encode(message);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(encoded.length);
    batch.push(length, encoded);
    bytes += 4 + encoded.length;
    if (bytes < batchBytes) continue;
    yield Buffer.concat(batch);
    [batch, bytes] = [[], 0];
  }
  yield Buffer.concat(batch);
}

/** What `framed` wrote, as encoded `StatusResponse`s. */
export async function* toldBy(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = Buffer.alloc(0);
  for await (const part of parts) {
    rest = rest.length === 0 ? Buffer.from(part) : Buffer.concat([rest, part]);
    let at = 0;
    for (;;) {
      if (rest.length - at < 4) break;
      const length = rest.readUInt32LE(at);
      if (rest.length - at - 4 < length) break;
      yield rest.subarray(at + 4, at + 4 + length);
      at += 4 + length;
    }
    rest = rest.subarray(at);
  }
}
