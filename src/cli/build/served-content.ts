/**
 * Blobs in directories of the user's, lent to a build: image layouts it comes out as, caches. Kept as OCI's image-layout.md
 * and containerd have them, `blobs/<algorithm>/<hex>`.
 * Promises: a blob that is there is whole and has the digest it is named by; what the engine sends leaves no directory.
 */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Answer, type ServerCall, unary } from "#grpc/grpc-server.ts";
import {
  content,
  contentStoreHeader,
  WriteRequest,
  WriteResponse,
  writeAction,
} from "#spec/content-service.ts";
import { type Digest, digestAlgorithm, encodedDigest, isDigest } from "#spec/digest.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";

const readBytes = 1 << 20;

/** `stores`: directories by the names they are lent under. */
export function contentServices(stores: ReadonlyMap<string, string>): [string, Answer][] {
  const pathOf = (call: ServerCall, digest: string): string => {
    const store = stores.get(call.metadata[contentStoreHeader]?.[0] ?? "");
    if (store === undefined) throw new GrpcError(grpcCode.notFound, "there is no such store");
    if (!isDigest(digest)) throw new GrpcError(grpcCode.invalidArgument, `${digest} is no digest`);
    return blobPath(store, digest);
  };
  return [
    unary(content.info, async ({ digest }, call) => {
      const found = await stat(pathOf(call, digest)).catch(() => undefined);
      if (found === undefined) throw new GrpcError(grpcCode.notFound, `content ${digest}: not found`);
      return { info: { digest, size: found.size } };
    }),
    [content.read.path, async (call) => await read(call, pathOf)],
    [content.write.path, async (call) => await write(call, pathOf)],
    unary(content.abort, () => ({})),
  ];
}

export function blobPath(store: string, digest: Digest): string {
  return join(store, "blobs", digestAlgorithm(digest), encodedDigest(digest));
}

type PathOf = (call: ServerCall, digest: string) => string;

async function read(call: ServerCall, pathOf: PathOf): Promise<void> {
  for await (const bytes of call.requests) {
    const { digest, offset, size } = content.read.request.decode(bytes);
    const path = pathOf(call, digest);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) throw new GrpcError(grpcCode.notFound, `content ${digest}: not found`);
    const range = { start: offset, ...(size > 0 && { end: offset + size - 1 }), highWaterMark: readBytes };
    let at = offset;
    if (found.size > offset)
      for await (const data of createReadStream(path, range) as AsyncIterable<Buffer>) {
        await call.send(content.read.response.encode({ offset: at, data }));
        at += data.length;
      }
    return;
  }
}

async function write(call: ServerCall, pathOf: PathOf): Promise<void> {
  let file: FileHandle | undefined;
  let [path, partial, offset, expected] = ["", "", 0, ""];
  const hash = createHash("sha256");
  try {
    for await (const bytes of call.requests) {
      const asked = WriteRequest.decode(bytes);
      if (file === undefined) {
        expected = asked.expected;
        path = pathOf(call, expected);
        if ((await stat(path).catch(() => undefined)) !== undefined)
          throw new GrpcError(grpcCode.alreadyExists, `content ${expected}: already exists`);
        partial = `${path}.${randomBytes(6).toString("hex")}`;
        await mkdir(dirname(path), { recursive: true });
        file = await open(partial, "wx", 0o644);
      }
      if (asked.data.length > 0) {
        if (asked.offset !== offset) throw new GrpcError(grpcCode.invalidArgument, "a part is missing");
        hash.update(asked.data);
        await file.writeFile(asked.data);
        offset += asked.data.length;
      }
      const digest = asked.action === writeAction.commit ? `sha256:${hash.digest("hex")}` : "";
      if (asked.action === writeAction.commit) {
        if (digest !== expected)
          throw new GrpcError(
            grpcCode.failedPrecondition,
            `unexpected commit digest ${digest}, expected ${expected}`,
          );
        await file.close();
        await rename(partial, path);
      }
      await call.send(WriteResponse.encode({ action: asked.action, offset, total: asked.total, digest }));
      if (asked.action === writeAction.commit) return;
    }
  } finally {
    await file?.close().catch(() => undefined);
    if (partial !== "") await rm(partial, { force: true });
  }
}
