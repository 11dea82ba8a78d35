/**
 * The registry, as a server: OCI distribution-spec 1.1 from a request to its answer.
 * Owns: routing, rights and bounds of requests. Promises: every refusal has a code of the specification; bodies are taken as
 * fast as they are stored. Never: keeps in memory what another process serving the same store would have to know.
 */

import { Upstream, type UpstreamOptions } from "#registry/client/upstream.ts";
import { byteStream } from "#registry/depot/byte-stream.ts";
import type { Depot } from "#registry/depot/depot.ts";
import type { Digest } from "#spec/digest.ts";
import { manifestBytesMax } from "#spec/manifest.ts";
import { PullThrough } from "./pull-through.ts";
import { type AccessOptions, type Action, type Principal, RegistryAccess } from "./registry-access.ts";
import { RegistryStore } from "./registry-store.ts";
import { answerBlob, type BlobSource, deleteBlob, storedBlob } from "./serve-blobs.ts";
import { RegistryRefusal, refusalOf } from "./serve-fault.ts";
import { answerCatalog, answerReferrers, answerTags, tagsPage } from "./serve-lists.ts";
import { Manifests } from "./serve-manifests.ts";
import { type Operation, operationOf } from "./serve-request.ts";
import { type UploadLimits, Uploads } from "./serve-uploads.ts";

export interface ServerOptions {
  readonly access: AccessOptions;
  /** Tags, manifests and blobs may be deleted. */
  readonly deletes: boolean;
  /** Of one blob. */
  readonly blobBytesMax: number;
  /** Of all blobs of one repository; undefined: as many as the disk takes. */
  readonly repositoryBytesMax?: number | undefined;
  /** What it is a cache of; then it takes no pushes. */
  readonly upstream?: UpstreamOptions | undefined;
  /** Ends what goes on behind answers. */
  readonly signal?: AbortSignal | undefined;
}

/** Something that happened to a repository; for whoever wants to be told. */
export interface RegistryEvent {
  readonly action: "push" | "pull" | "delete" | "mount";
  readonly repository: string;
  readonly what: "manifest" | "blob";
  readonly reference: string;
  readonly user: string | undefined;
}

export interface ServerWatch {
  happened(event: RegistryEvent): void;
  answered(o: {
    readonly method: string;
    readonly kind: string;
    readonly status: number;
    readonly ms: number;
  }): void;
  /** What could not be answered. */
  failed(error: unknown): void;
}

interface Asked {
  readonly request: Request;
  readonly method: string;
  readonly query: URLSearchParams;
  readonly principal: Principal;
}

export class RegistryServer {
  readonly store: RegistryStore;
  readonly #options: ServerOptions;
  readonly #access: RegistryAccess;
  readonly #uploads: Uploads;
  readonly #manifests: Manifests;
  readonly #cache: PullThrough | undefined;
  readonly #watch: ServerWatch;

  constructor(depot: Depot, options: ServerOptions, watch: ServerWatch) {
    this.store = new RegistryStore(depot);
    this.#options = options;
    this.#access = new RegistryAccess(options.access);
    this.#uploads = new Uploads(this.store);
    this.#manifests = new Manifests(this.store);
    this.#watch = watch;
    if (options.upstream === undefined) return;
    this.#cache = new PullThrough({
      ...{ store: this.store, manifests: this.#manifests, blobBytesMax: options.blobBytesMax },
      upstream: new Upstream(options.upstream),
      signal: options.signal ?? new AbortController().signal,
    });
  }

  /** Never rejects. */
  async answer(request: Request): Promise<Response> {
    const beganMs = performance.now();
    let kind = "other";
    let response: Response;
    try {
      const url = new URL(request.url);
      const operation = operationOf(url.pathname);
      kind = operation?.kind ?? kind;
      const principal = await this.#access.principal(request.headers.get("authorization"));
      if (operation === undefined) throw new RegistryRefusal("UNSUPPORTED", "no such path", { status: 404 });
      const asked = { request, method: request.method, query: url.searchParams, principal };
      response = await this.#route(operation, asked);
    } catch (error) {
      response = this.#refuse(error, request.method);
    }
    response.headers.set("Docker-Distribution-API-Version", "registry/2.0");
    response.headers.set("X-Content-Type-Options", "nosniff");
    this.#watch.answered({
      method: request.method,
      kind,
      status: response.status,
      ms: performance.now() - beganMs,
    });
    return response;
  }

  #refuse(thrown: unknown, method: string): Response {
    // What failed first says more than what closing it said.
    const error = thrown instanceof SuppressedError ? thrown.suppressed : thrown;
    if (!(error instanceof RegistryRefusal)) this.#watch.failed(error);
    const refusal = refusalOf(error);
    return new Response(method === "HEAD" ? null : refusal.body(), {
      status: refusal.status,
      headers: { "Content-Type": "application/json; charset=utf-8", ...refusal.headers },
    });
  }

  async #route(operation: Operation, asked: Asked): Promise<Response> {
    const { method, query, principal } = asked;
    const isRead = method === "GET" || method === "HEAD";
    switch (operation.kind) {
      case "base":
        if (!isRead) break;
        this.#access.requireBase(principal);
        return Response.json({});
      case "catalog":
        if (method !== "GET") break;
        this.#access.requireList(principal);
        return await answerCatalog(this.store, query, (name) => this.#maySee(principal, name));
      case "tags":
        if (method !== "GET") break;
        this.#access.require(principal, "pull", operation.repository);
        if (this.#cache === undefined) return await answerTags(this.store, operation.repository, query);
        return tagsPage(operation.repository, await this.#cache.tags(operation.repository), query);
      case "referrers":
        if (method !== "GET") break;
        this.#access.require(principal, "pull", operation.repository);
        return await this.#referrers(operation, asked);
      case "manifest":
        return await this.#manifest(operation, asked);
      case "blob":
        return await this.#blob(operation, asked);
      case "uploads":
      case "upload":
        return await this.#upload(operation, asked);
    }
    throw notAllowed(method);
  }

  #maySee(principal: Principal, repository: string): boolean {
    // A token for the catalog names no repositories.
    return principal.may("pull", repository) || principal.byToken;
  }

  async #manifest(o: Operation & { readonly kind: "manifest" }, asked: Asked): Promise<Response> {
    const { method, request, principal } = asked;
    const tell = (action: RegistryEvent["action"], reference = o.reference) =>
      this.#tell({ action, repository: o.repository, what: "manifest", reference, user: principal.user });
    if (method === "GET" || method === "HEAD") {
      this.#access.require(principal, "pull", o.repository);
      await this.#cache?.prepareManifest(o);
      const response = await this.#manifests.answer(method, o, request.headers);
      if (method === "GET") tell("pull");
      return response;
    }
    if (method === "PUT") {
      this.#requirePush(principal, o.repository);
      const { response } = await this.#manifests.take(o, request.headers, await manifestBody(request));
      tell("push");
      return response;
    }
    if (method === "DELETE") {
      this.#requireDelete(principal, o.repository);
      const response = await this.#manifests.remove(o);
      tell("delete");
      return response;
    }
    throw notAllowed(method);
  }

  async #blob(o: Operation & { readonly kind: "blob" }, asked: Asked): Promise<Response> {
    const { method, request, principal } = asked;
    const { repository, digest } = o;
    if (method === "GET" || method === "HEAD") {
      this.#access.require(principal, "pull", repository);
      const mayPush = method === "HEAD" && principal.may("push", repository);
      const source =
        (await this.#cachedBlob(method, repository, digest)) ??
        (await storedBlob(this.store, { repository, digest, mayPush }));
      return await answerBlob(source, method, { digest, headers: request.headers });
    }
    if (method === "DELETE") {
      this.#requireDelete(principal, repository);
      const response = await deleteBlob(this.store, repository, digest);
      this.#tell({ action: "delete", repository, what: "blob", reference: digest, user: principal.user });
      return response;
    }
    throw notAllowed(method);
  }

  /** A blob of a cache that is not here yet. */
  async #cachedBlob(
    method: "GET" | "HEAD",
    repository: string,
    digest: Digest,
  ): Promise<BlobSource | undefined> {
    if (this.#cache === undefined) return undefined;
    if (method === "HEAD") {
      if ((await this.store.blob(repository, digest)) !== undefined) return undefined;
      return { sizeBytes: await this.#cache.blobSize(repository, digest), body: async () => undefined };
    }
    const fetch = await this.#cache.fetchBlob(repository, digest);
    if (fetch === undefined) return undefined;
    const { sizeBytes } = fetch.wanted;
    return {
      sizeBytes,
      body: async ({ start, end } = { start: 0, end: sizeBytes }) => byteStream(fetch.read(start, end)),
    };
  }

  async #referrers(
    o: Operation & { readonly kind: "referrers" },
    { query, request }: Asked,
  ): Promise<Response> {
    const { search } = new URL(request.url);
    const handed = await this.#cache?.referrers(o.repository, o.digest, search);
    if (handed === undefined) return await answerReferrers(this.store, o.repository, o.digest, query);
    return new Response(handed.bytes as Uint8Array<ArrayBuffer>, { headers: handed.headers });
  }

  async #upload(o: Operation & { readonly kind: "uploads" | "upload" }, asked: Asked): Promise<Response> {
    const { method, request, query, principal } = asked;
    const { repository } = o;
    this.#requirePush(principal, repository);
    const limits: UploadLimits = {
      blobBytesMax: this.#options.blobBytesMax,
      roomBytes: async () => await this.#room(repository),
      mayPull: (from) => principal.may("pull", from),
    };
    const body = request.body as AsyncIterable<Uint8Array> | null;
    const upload = { repository, query, headers: request.headers, body };
    if (o.kind === "uploads") {
      if (method !== "POST") throw notAllowed(method);
      return await this.#uploads.begin(upload, limits);
    }
    if (method === "GET") return await this.#uploads.status(repository, o.id);
    if (method === "PATCH") return await this.#uploads.append(o.id, upload, limits);
    if (method === "PUT") return await this.#uploads.finish(o.id, upload, limits);
    if (method === "DELETE") return await this.#uploads.cancel(repository, o.id);
    throw notAllowed(method);
  }

  async #room(repository: string): Promise<number> {
    const most = this.#options.repositoryBytesMax;
    return most === undefined ? Number.POSITIVE_INFINITY : most - (await this.store.sizeBytes(repository));
  }

  #requirePush(principal: Principal, repository: string): void {
    this.#access.require(principal, "push", repository);
    if (this.#cache !== undefined) throw this.#cache.refusal;
  }

  #requireDelete(principal: Principal, repository: string): void {
    const action: Action = "delete";
    this.#access.require(principal, action, repository);
    if (!this.#options.deletes)
      throw new RegistryRefusal("UNSUPPORTED", "this registry does not delete: see its option deletes");
  }

  #tell(event: RegistryEvent): void {
    this.#watch.happened(event);
  }
}

function notAllowed(method: string): RegistryRefusal {
  return new RegistryRefusal("UNSUPPORTED", `${method} is not for this path`);
}

/** All of it, at most as much as a manifest may have. */
async function manifestBody(request: Request): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    sizeBytes += part.length;
    if (sizeBytes > manifestBytesMax)
      throw new RegistryRefusal("MANIFEST_INVALID", `a manifest has at most ${manifestBytesMax} bytes`, {
        status: 413,
      });
    parts.push(part);
  }
  return Buffer.concat(parts);
}
