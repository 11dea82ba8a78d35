/** Blobs on their way out (OCI distribution-spec 1.1, "Pulling blobs", "Deleting blobs"). */
import type { Digest } from "#spec/digest.ts";
import { keys, type RegistryStore } from "./registry-store.ts";
import { RegistryRefusal } from "./serve-fault.ts";
import { isKnownTo, rangeOf } from "./serve-request.ts";

export interface BlobRequest {
  readonly repository: string;
  readonly digest: Digest;
  readonly headers: Headers;
  /** Who asks is about to push, and may count on what is found. */
  readonly mayPush: boolean;
}

/** GET and HEAD. */
export async function answerBlob(
  store: RegistryStore,
  method: "GET" | "HEAD",
  { repository, digest, headers, mayPush }: BlobRequest,
): Promise<Response> {
  const found = await store.blob(repository, digest);
  if (found === undefined) throw unknown(digest);
  if (method === "HEAD" && mayPush) await store.countOn(repository, digest);
  const answer: Record<string, string> = {
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    ETag: `"${digest}"`,
    "Accept-Ranges": "bytes",
    "Cache-Control": "max-age=31536000",
  };
  if (isKnownTo(headers.get("if-none-match"), digest))
    return new Response(null, { status: 304, headers: answer });
  const range = rangeOf(headers.get("range"), found.sizeBytes);
  const length = range === undefined ? found.sizeBytes : range.end - range.start;
  answer["Content-Length"] = String(length);
  if (range !== undefined)
    answer["Content-Range"] = `bytes ${range.start}-${range.end - 1}/${found.sizeBytes}`;
  const status = range === undefined ? 200 : 206;
  if (method === "HEAD") return new Response(null, { status, headers: answer });
  const body = await store.blobBody(digest, range);
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
