/** One repository at one endpoint: the distribution API's requests (OCI distribution-spec 1.1), without retries. */
import { createHash } from "node:crypto";
import { type Digest, digestAlgorithm, isDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { indexTypes, manifestBytesMax, manifestTypes } from "#spec/manifest.ts";
import { parseTag } from "#spec/reference.ts";
import type { Session } from "./session.ts";
import { wholeBody } from "./transport.ts";

const accept = [...manifestTypes, ...indexTypes].join(", ");

export interface ManifestBytes {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly contentType: string;
}

/** Where an upload goes on. */
export interface UploadPlace {
  readonly url: URL;
  /** Bytes the registry has. */
  readonly offset: number;
}

export class Repository {
  /** `library/alpine`. */
  readonly path: string;
  readonly session: Session;

  constructor(path: string, session: Session) {
    this.path = path;
    this.session = session;
  }

  /** @throws Fault `invalid` when it is not what was asked for by digest. */
  async manifest(reference: string, signal: AbortSignal): Promise<ManifestBytes> {
    const answer = await this.session.send({
      method: "GET",
      target: `${this.path}/manifests/${reference}`,
      headers: { Accept: accept },
      signal,
    });
    const bytes = await wholeBody(answer, manifestBytesMax, "the manifest");
    const algorithm = isDigest(reference) ? digestAlgorithm(reference) : "sha256";
    const digest = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}` as Digest;
    if (isDigest(reference) && digest !== reference)
      throw new Fault(
        "invalid",
        `manifest verification failed for digest ${reference}: what came has ${digest}`,
      );
    const contentType = answer.headers.get("content-type") ?? "";
    return { bytes, digest, contentType };
  }

  /** What a tag points at, without fetching it; undefined when the registry does not say. */
  async digestOf(reference: string, signal: AbortSignal): Promise<Digest | undefined> {
    const answer = await this.session.send({
      method: "HEAD",
      target: `${this.path}/manifests/${reference}`,
      headers: { Accept: accept },
      signal,
    });
    const said = answer.headers.get("docker-content-digest") ?? "";
    return isDigest(said) ? said : undefined;
  }

  /** Every tag. */
  async tags(signal: AbortSignal): Promise<string[]> {
    const tags: string[] = [];
    for await (const page of this.session.pages(`${this.path}/tags/list`, "tags", signal))
      tags.push(...readTags(new TextDecoder().decode(page)));
    return tags;
  }

  /**
   * The bytes of a blob from `start` on, as far as the registry has a mind to begin there: `start` of the answer is where it
   * really does.
   */
  async blob(
    digest: Digest,
    start: number,
    signal: AbortSignal,
  ): Promise<{ readonly start: number; readonly body: AsyncIterable<Uint8Array> }> {
    const { status, headers, body } = await this.session.send({
      method: "GET",
      target: `${this.path}/blobs/${digest}`,
      ...(start > 0 && { headers: { Range: `bytes=${start}-` } }),
      accept: [200, 206],
      signal,
    });
    const range = /^bytes (\d+)-/.exec(headers.get("content-range") ?? "");
    if (status === 206 && Number(range?.[1] ?? -1) !== start)
      throw new Fault(
        "invalid",
        `${this.session.endpoint.host} sends another part of ${digest} than asked for`,
      );
    return { start: status === 206 ? start : 0, body };
  }

  /** Its size; undefined when it is not there. */
  async hasBlob(digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    const { status, headers } = await this.session.send({
      method: "HEAD",
      target: `${this.path}/blobs/${digest}`,
      accept: [200, 404],
      signal,
    });
    return status === 404 ? undefined : Number(headers.get("content-length") ?? 0);
  }

  /** Begins an upload; `from`: or takes the blob over from another repository. Undefined when that worked. */
  async beginUpload(
    signal: AbortSignal,
    from?: { readonly digest: Digest; readonly repository: string },
  ): Promise<UploadPlace | undefined> {
    if (from !== undefined) this.session.addScope(`repository:${from.repository}:pull`);
    const query =
      from === undefined
        ? ""
        : `?mount=${encodeURIComponent(from.digest)}&from=${encodeURIComponent(from.repository)}`;
    const answer = await this.session.send({
      method: "POST",
      target: `${this.path}/blobs/uploads/${query}`,
      headers: { "Content-Length": "0" },
      accept: [201, 202],
      signal,
    });
    for await (const _ of answer.body);
    if (answer.status === 201) return undefined;
    // Some say "0-0" of nothing.
    return { ...this.#place(answer.headers, answer.url, 0), offset: 0 };
  }

  /** Sends what comes next. */
  async sendPart(
    place: UploadPlace,
    part: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<UploadPlace> {
    const answer = await this.session.send({
      method: "PATCH",
      target: place.url,
      headers: { "Content-Type": "application/octet-stream" },
      body: part,
      accept: [202, 204],
      signal,
    });
    for await (const _ of answer.body);
    return this.#place(answer.headers, answer.url, place.offset);
  }

  /** How far an upload got. @throws Fault `not-found` when the registry has forgotten it. */
  async uploadStatus(place: UploadPlace, signal: AbortSignal): Promise<UploadPlace> {
    const answer = await this.session.send({
      method: "GET",
      target: place.url,
      accept: [200, 202, 204],
      signal,
    });
    for await (const _ of answer.body);
    return this.#place(answer.headers, answer.url, 0, place.url);
  }

  async finishUpload(
    place: UploadPlace,
    digest: Digest,
    signal: AbortSignal,
    all?: Uint8Array,
  ): Promise<void> {
    const url = new URL(place.url);
    url.searchParams.set("digest", digest);
    const answer = await this.session.send({
      method: "PUT",
      target: url,
      headers: { "Content-Type": "application/octet-stream" },
      body: all ?? new Uint8Array(),
      accept: [201, 204],
      signal,
    });
    for await (const _ of answer.body);
  }

  async cancelUpload(place: UploadPlace, signal: AbortSignal): Promise<void> {
    await this.session.send({ method: "DELETE", target: place.url, accept: [200, 202, 204, 404], signal });
  }

  async putManifest(
    reference: string,
    manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
    signal: AbortSignal,
  ): Promise<void> {
    const answer = await this.session.send({
      method: "PUT",
      target: `${this.path}/manifests/${reference}`,
      headers: { "Content-Type": manifest.mediaType },
      body: manifest.bytes,
      accept: [200, 201, 202],
      signal,
    });
    for await (const _ of answer.body);
  }

  #place(headers: Headers, asked: URL, offset: number, fallback?: URL): UploadPlace {
    const location = headers.get("location");
    const url = location === null ? fallback : URL.parse(location, asked);
    if (url === null || url === undefined)
      throw new Fault("invalid", `${asked.host} does not say where an upload goes on`);
    // A registry behind a proxy that ends TLS may not know how it was reached.
    if (url.host === asked.host) url.protocol = asked.protocol;
    const [, last] = /^(?:bytes=)?0-(\d+)$/.exec(headers.get("range") ?? "") ?? [];
    return { url, offset: last === undefined ? offset : Number(last) + 1 };
  }
}

function readTags(text: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Fault("invalid", "the list of tags is no JSON", { cause });
  }
  const tags =
    typeof value === "object" && value !== null && "tags" in value ? (value.tags ?? []) : undefined;
  if (!Array.isArray(tags)) throw new Fault("invalid", "the list of tags is no list");
  return tags.map((tag) => parseTag(String(tag)));
}
