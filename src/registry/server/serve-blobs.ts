/** Blobs on their way out (OCI distribution-spec 1.1, "Pulling blobs", "Deleting blobs"). */
import type { Digest } from "#spec/digest.ts";
import { keys, type RegistryStore } from "./registry-store.ts";
import { RegistryRefusal } from "./serve-fault.ts";
import { isKnownTo, rangeOf } from "./serve-request.ts";

/** Where an answer's bytes come from. */
export interface BlobSource {
  readonly sizeBytes: number;
  body(range?: {
    readonly start: number;
    readonly end: number;
  }): Promise<Blob | ReadableStream<Uint8Array> | undefined>;
}

/** A blob the repository has; `mayPush`: who asks is about to, and may count on what is found. @throws RegistryRefusal. */
export async function storedBlob(
  store: RegistryStore,
  o: { readonly repository: string; readonly digest: Digest; readonly mayPush: boolean },
): Promise<BlobSource> {
  const { repository, digest, mayPush } = o;
  const found = await store.blob(repository, digest);
  if (found === undefined) throw unknown(digest);
  if (mayPush) await store.countOn(repository, digest);
  return { sizeBytes: found.sizeBytes, body: async (range) => await store.blobBody(digest, range) };
}

/** GET and HEAD. */
export async function answerBlob(
  source: BlobSource,
  method: "GET" | "HEAD",
  { digest, headers }: { readonly digest: Digest; readonly headers: Headers },
): Promise<Response> {
  const answer: Record<string, string> = {
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    ETag: `"${digest}"`,
    "Accept-Ranges": "bytes",
    "Cache-Control": "max-age=31536000",
  };
  if (isKnownTo(headers.get("if-none-match"), digest))
    return new Response(null, { status: 304, headers: answer });
  const range = rangeOf(headers.get("range"), source.sizeBytes);
  const length = range === undefined ? source.sizeBytes : range.end - range.start;
  answer["Content-Length"] = String(length);
  if (range !== undefined)
    answer["Content-Range"] = `bytes ${range.start}-${range.end - 1}/${source.sizeBytes}`;
  const status = range === undefined ? 200 : 206;
  if (method === "HEAD") return new Response(null, { status, headers: answer });
  const body = await source.body(range);
  if (body === undefined) throw unknown(digest);
  return new Response(body, { status, headers: answer });
}

/** DELETE: takes it from this repository; its bytes go when nobody has it. */
export async function deleteBlob(
  store: RegistryStore,
  repository: string,
  digest: Digest,
): Promise<Response> {
  if (!(await store.depot.remove(keys.link(repository, digest)))) throw unknown(digest);
  return new Response(null, { status: 202 });
}

function unknown(digest: Digest): RegistryRefusal {
  return new RegistryRefusal("BLOB_UNKNOWN", `the repository has no blob ${digest}`);
}
