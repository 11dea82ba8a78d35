/**
 * Manifests of repositories (OCI distribution-spec 1.1, "Pulling manifests", "Pushing Manifests", "Deleting").
 * Promises: a manifest is taken only when everything it refers to is there; a tag leads to a manifest that is there.
 */
import { createHash } from "node:crypto";
import { type Digest, digestAlgorithm, isDigest } from "#spec/digest.ts";
import { manifestBytesMax } from "#spec/manifest.ts";
import { keys, type RegistryStore } from "./registry-store.ts";
import { RegistryRefusal } from "./serve-fault.ts";
import { isKnownTo } from "./serve-request.ts";
import { type PushedManifest, readPushed, referrerEntry } from "./served-manifest.ts";

/** Bytes of manifests kept in memory; their digests are their names, so they are never stale. */
const cacheBytesMax = 8 << 20;

export interface ManifestTarget {
  readonly repository: string;
  /** Tag or digest. */
  readonly reference: string;
}

export interface TakenManifest {
  readonly response: Response;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

export class Manifests {
  readonly #store: RegistryStore;
  readonly #cache = new Map<Digest, Uint8Array>();
  #cachedBytes = 0;

  constructor(store: RegistryStore) {
    this.#store = store;
  }

  /** What a reference leads to in a repository. */
  async resolve({ repository, reference }: ManifestTarget): Promise<Digest | undefined> {
    return isDigest(reference) ? reference : await this.#store.tag(repository, reference);
  }

  /** GET and HEAD. */
  async answer(method: "GET" | "HEAD", target: ManifestTarget, headers: Headers): Promise<Response> {
    const digest = await this.resolve(target);
    const record = digest === undefined ? undefined : await this.#store.manifest(target.repository, digest);
    if (digest === undefined || record === undefined) throw await this.#unknown(target);
    const answer = {
      "Content-Type": record.mediaType,
      "Docker-Content-Digest": digest,
      ETag: `"${digest}"`,
      "Content-Length": String(record.sizeBytes),
    };
    if (isKnownTo(headers.get("if-none-match"), digest))
      return new Response(null, { status: 304, headers: { ...answer, "Content-Length": "0" } });
    if (method === "HEAD") return new Response(null, { headers: answer });
    const bytes = await this.#bytes(digest);
    if (bytes === undefined) throw await this.#unknown(target);
    return new Response(bytes as Uint8Array<ArrayBuffer>, { headers: answer });
  }

  /** PUT. */
  async take(target: ManifestTarget, headers: Headers, body: Uint8Array): Promise<TakenManifest> {
    const { repository, reference } = target;
    const pushed = readPushed(body, headers.get("content-type") ?? undefined);
    const algorithm = isDigest(reference) ? digestAlgorithm(reference) : "sha256";
    const digest = `${algorithm}:${createHash(algorithm).update(body).digest("hex")}` as Digest;
    if (isDigest(reference) && digest !== reference)
      throw new RegistryRefusal("DIGEST_INVALID", `what came has ${digest}, not ${reference}`);
    await this.#checkReferences(repository, pushed);
    await this.keep(repository, digest, body, pushed);
    if (!isDigest(reference)) await this.#store.putTag(repository, reference, digest);
    const response = new Response(null, {
      status: 201,
      headers: {
        Location: `/v2/${repository}/manifests/${digest}`,
        "Docker-Content-Digest": digest,
        ...(pushed.subject !== undefined && { "OCI-Subject": pushed.subject }),
      },
    });
    return { response, digest, mediaType: pushed.mediaType, sizeBytes: body.length };
  }

  /** Writes what was checked. The record comes first: it keeps the collector off the rest. */
  async keep(repository: string, digest: Digest, bytes: Uint8Array, pushed: PushedManifest): Promise<void> {
    const { mediaType, subject } = pushed;
    const sizeBytes = bytes.length;
    await this.#store.keepBytes(digest, bytes);
    await this.#store.putManifest(repository, digest, {
      mediaType,
      sizeBytes,
      ...(subject !== undefined && { subject }),
    });
    await this.#store.keepBytes(digest, bytes);
    // What the collector took between the look and the record.
    for (const blob of pushed.blobs)
      if ((await this.#store.depot.stat(keys.link(repository, blob))) === undefined)
        await this.#store.link(repository, blob);
    if (subject !== undefined)
      await this.#store.putReferrer(repository, subject, referrerEntry(pushed, digest, sizeBytes));
  }

  /** DELETE: a tag alone, or by digest the manifest and every tag that leads to it. */
  async remove(target: ManifestTarget): Promise<Response> {
    const { repository, reference } = target;
    if (!isDigest(reference)) {
      if (!(await this.#store.depot.remove(keys.tag(repository, reference))))
        throw await this.#unknown(target);
      return new Response(null, { status: 202 });
    }
    const record = await this.#store.manifest(repository, reference);
    if (record === undefined) throw await this.#unknown(target);
    for (const tag of await this.#store.tags(repository))
      if ((await this.#store.tag(repository, tag)) === reference)
        await this.#store.depot.remove(keys.tag(repository, tag));
    if (record.subject !== undefined) await this.#store.removeReferrer(repository, record.subject, reference);
    await this.#store.depot.remove(keys.manifest(repository, reference));
    return new Response(null, { status: 202 });
  }

  async #checkReferences(repository: string, { blobs, manifests }: PushedManifest): Promise<void> {
    for (const digest of blobs)
      if (!(await this.#store.countOn(repository, digest)))
        throw new RegistryRefusal(
          "MANIFEST_BLOB_UNKNOWN",
          `the repository has no blob ${digest}: push it first`,
        );
    for (const digest of manifests)
      if ((await this.#store.manifest(repository, digest)) === undefined)
        throw new RegistryRefusal(
          "MANIFEST_BLOB_UNKNOWN",
          `the repository has no manifest ${digest}: push it first`,
        );
  }

  async #bytes(digest: Digest): Promise<Uint8Array | undefined> {
    const known = this.#cache.get(digest);
    if (known !== undefined) return known;
    const bytes = await this.#store.bytes(digest);
    if (bytes === undefined || bytes.length > manifestBytesMax) return bytes;
    for (const [oldest, { length }] of this.#cache) {
      if (this.#cachedBytes + bytes.length <= cacheBytesMax) break;
      this.#cache.delete(oldest);
      this.#cachedBytes -= length;
    }
    if (!this.#cache.has(digest)) this.#cachedBytes += bytes.length;
    this.#cache.set(digest, bytes);
    return bytes;
  }

  async #unknown({ repository, reference }: ManifestTarget): Promise<RegistryRefusal> {
    if (await this.#store.isKnown(repository))
      return new RegistryRefusal("MANIFEST_UNKNOWN", `${repository} has no manifest ${reference}`);
    return new RegistryRefusal("NAME_UNKNOWN", `there is no repository ${repository}`);
  }
}
