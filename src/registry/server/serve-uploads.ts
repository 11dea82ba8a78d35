/**
 * Blobs on their way in (OCI distribution-spec 1.1, "Pushing blobs").
 * Owns: uploads, and how far each was hashed. Promises: a blob is there only when whole and of its digest; an upload that
 * broke off, also by the process's end, goes on where it stopped, in any process that serves the store.
 */
import { createHash, type Hash } from "node:crypto";
import type { Growing } from "#registry/depot/depot.ts";
import { type Digest, digestAlgorithm } from "#spec/digest.ts";
import { keys, type RegistryStore } from "./registry-store.ts";
import { RegistryRefusal } from "./serve-fault.ts";
import { checkedDigest, checkRepository } from "./serve-request.ts";

/** Uploads whose hash is remembered; others are read again when they end. */
const hashesMax = 1000;
/** Bytes of an upload read at a time. */
const readBytes = 1 << 20;

type Algorithm = "sha256" | "sha512";
interface Progress {
  readonly algorithm: Algorithm;
  readonly hash: Hash;
  /** Of the upload it is the hash of. */
  readonly mark: string;
}

export interface UploadRequest {
  readonly repository: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: AsyncIterable<Uint8Array> | null;
}

export interface UploadLimits {
  /** Of one blob. */
  readonly blobBytesMax: number;
  /** How many more the repository may have; asked when an upload's part begins. */
  roomBytes(repository: string): Promise<number>;
  /** Whether who asks may read there. */
  mayPull(repository: string): boolean;
}

export class Uploads {
  readonly #store: RegistryStore;
  readonly #progress = new Map<string, Progress>();

  constructor(store: RegistryStore) {
    this.#store = store;
  }

  /** POST: begins one, takes a blob over from another repository, or takes all of it at once. */
  async begin(request: UploadRequest, limits: UploadLimits): Promise<Response> {
    const { repository, query } = request;
    const mount = query.get("mount");
    const from = query.get("from");
    if (mount !== null && from !== null) {
      const digest = checkedDigest(mount);
      checkRepository(from);
      if (limits.mayPull(from) && (await this.#store.blob(from, digest)) !== undefined)
        if (await this.#store.link(repository, digest)) return created(repository, digest);
    }
    const digest = query.get("digest");
    const algorithm = algorithmOf(query.get("digest-algorithm") ?? digest ?? "sha256");
    const wanted = digest === null ? undefined : checkedDigest(digest);
    const id = this.#store.newUpload();
    const key = keys.upload(repository, id);
    await using upload = await this.#store.depot.grow(key, { create: true });
    if (upload === undefined) throw new Error(`the new upload ${id} is in use`);
    this.#remember(key, { algorithm, hash: createHash(algorithm), mark: upload.mark });
    if (wanted === undefined) return place(202, repository, id, 0);
    try {
      await this.#receive(key, upload, request, limits);
      return await this.#finish(key, upload, repository, wanted);
    } catch (error) {
      await this.#forget(key, upload);
      throw error;
    }
  }

  /** GET. */
  async status(repository: string, id: string): Promise<Response> {
    const found = await this.#store.depot.stat(keys.upload(repository, id));
    if (found === undefined) throw unknown(id);
    return place(204, repository, id, found.sizeBytes);
  }

  /** PATCH: the next bytes, with or without a `Content-Range`. */
  async append(id: string, request: UploadRequest, limits: UploadLimits): Promise<Response> {
    const key = keys.upload(request.repository, id);
    await using upload = await this.#open(key, id);
    checkPart(upload.sizeBytes, request, id);
    await this.#receive(key, upload, request, limits);
    return place(202, request.repository, id, upload.sizeBytes);
  }

  /** PUT: the last bytes, if any, and what it all is. */
  async finish(id: string, request: UploadRequest, limits: UploadLimits): Promise<Response> {
    const given = request.query.get("digest");
    if (given === null) throw new RegistryRefusal("DIGEST_INVALID", "an upload ends with ?digest=");
    const digest = checkedDigest(given);
    const key = keys.upload(request.repository, id);
    await using upload = await this.#open(key, id);
    checkPart(upload.sizeBytes, request, id);
    await this.#receive(key, upload, request, limits);
    return await this.#finish(key, upload, request.repository, digest);
  }

  /** DELETE. */
  async cancel(repository: string, id: string): Promise<Response> {
    const key = keys.upload(repository, id);
    this.#progress.delete(key);
    if (!(await this.#store.depot.remove(key))) throw unknown(id);
    return new Response(null, { status: 204 });
  }

  async #open(key: string, id: string): Promise<Growing> {
    const upload = await this.#store.depot.grow(key);
    if (upload !== undefined) return upload;
    if ((await this.#store.depot.stat(key)) === undefined) throw unknown(id);
    throw new RegistryRefusal("BLOB_UPLOAD_INVALID", "another request is writing to this upload", {
      status: 409,
    });
  }

  async #receive(key: string, upload: Growing, request: UploadRequest, limits: UploadLimits): Promise<void> {
    if (request.body === null) return;
    const known = this.#progress.get(key);
    this.#progress.delete(key);
    const running = known?.mark === upload.mark ? known : undefined;
    const room = await limits.roomBytes(request.repository);
    let mark = upload.mark;
    try {
      for await (const part of request.body) {
        checkSize(upload.sizeBytes + part.length, { ...limits, room, repository: request.repository });
        await append(upload, part);
        running?.hash.update(part);
        mark = upload.mark;
      }
    } catch (error) {
      if (error instanceof RegistryRefusal) await upload.discard();
      throw error;
    } finally {
      if (running !== undefined) this.#remember(key, { ...running, mark });
    }
  }

  async #finish(key: string, upload: Growing, repository: string, digest: Digest): Promise<Response> {
    const found = await this.#hexOf(key, upload, digestAlgorithm(digest));
    const actual = `${digestAlgorithm(digest)}:${found}`;
    if (actual !== digest) {
      await this.#forget(key, upload);
      throw new RegistryRefusal("DIGEST_INVALID", `what came has ${actual}, not ${digest}`);
    }
    await this.#store.depot.write(keys.link(repository, digest), "");
    await upload.keep(keys.blob(digest));
    this.#progress.delete(key);
    return created(repository, digest);
  }

  /** From what was hashed on its way in when that is all of it. */
  async #hexOf(key: string, upload: Growing, algorithm: Algorithm): Promise<string> {
    const known = this.#progress.get(key);
    if (known?.algorithm === algorithm && known.mark === upload.mark) {
      this.#progress.delete(key);
      return known.hash.digest("hex");
    }
    const hash = createHash(algorithm);
    for (let at = 0; at < upload.sizeBytes; at += readBytes)
      hash.update(await upload.read(at, Math.min(upload.sizeBytes, at + readBytes)));
    return hash.digest("hex");
  }

  async #forget(key: string, upload: Growing): Promise<void> {
    this.#progress.delete(key);
    await upload.discard();
  }

  #remember(key: string, progress: Progress): void {
    const [oldest] = this.#progress.keys();
    if (this.#progress.size >= hashesMax && oldest !== undefined) this.#progress.delete(oldest);
    this.#progress.set(key, progress);
  }
}

/** What there is no room for is given up at once, or it would hold the room there is. */
async function append(upload: Growing, part: Uint8Array): Promise<void> {
  try {
    await upload.append(part);
  } catch (error) {
    await upload.discard().catch(() => undefined);
    throw error;
  }
}

function checkSize(
  sizeBytes: number,
  o: { readonly blobBytesMax: number; readonly room: number; readonly repository: string },
): void {
  if (sizeBytes > o.blobBytesMax)
    throw new RegistryRefusal("SIZE_INVALID", `blobs have at most ${o.blobBytesMax} bytes`, { status: 413 });
  if (sizeBytes > o.room) throw new RegistryRefusal("DENIED", `${o.repository} has reached its quota`);
}

function algorithmOf(text: string): Algorithm {
  return text.startsWith("sha512") ? "sha512" : "sha256";
}

function unknown(id: string): RegistryRefusal {
  return new RegistryRefusal("BLOB_UPLOAD_UNKNOWN", `there is no upload ${id}`);
}

/** A part that says where it belongs must belong at the end. */
function checkPart(sizeBytes: number, request: UploadRequest, id: string): void {
  const header = request.headers.get("content-range");
  if (header === null) return;
  const [, first, last] = /^(?:bytes[ =])?(\d+)-(\d+)(?:\/\S*)?$/.exec(header) ?? [];
  const length = request.headers.get("content-length");
  if (first === undefined || last === undefined)
    throw new RegistryRefusal("BLOB_UPLOAD_INVALID", `the Content-Range ${JSON.stringify(header)} is none`);
  if (length !== null && Number(length) !== Number(last) - Number(first) + 1)
    throw new RegistryRefusal("SIZE_INVALID", "Content-Range and Content-Length differ");
  if (Number(first) !== sizeBytes)
    throw new RegistryRefusal("RANGE_INVALID", `the upload has ${sizeBytes} bytes: go on there`, {
      headers: placeHeaders(request.repository, id, sizeBytes),
    });
}

function placeHeaders(repository: string, id: string, sizeBytes: number): Record<string, string> {
  return {
    Location: `/v2/${repository}/blobs/uploads/${id}`,
    // Of nothing, too: as every registry says it.
    Range: `0-${Math.max(0, sizeBytes - 1)}`,
    "Docker-Upload-UUID": id,
  };
}

function place(status: number, repository: string, id: string, sizeBytes: number): Response {
  return new Response(null, { status, headers: placeHeaders(repository, id, sizeBytes) });
}

function created(repository: string, digest: Digest): Response {
  return new Response(null, {
    status: 201,
    headers: { Location: `/v2/${repository}/blobs/${digest}`, "Docker-Content-Digest": digest },
  });
}
