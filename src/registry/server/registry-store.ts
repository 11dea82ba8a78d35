/**
 * What a registry keeps, in words of repositories: which blobs, manifests, tags and referrers each has.
 * Owns: the keys in the depot. Promises: nothing is known in memory that another process would have to know; a blob is
 * read only through the link of the repository it is asked of; a link is written before the blob is looked for, so that
 * the collector, which looks for links after it moved a blob away, brings back what is linked meanwhile.
 * Never: judges a request.
 */
import { randomUUID } from "node:crypto";
import type { Depot, DepotEntry } from "#registry/depot/depot.ts";
import { type Digest, digestAlgorithm, encodedDigest, isDigest } from "#spec/digest.ts";

/** What is written of a manifest in a repository. */
export interface ManifestRecord {
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly subject?: Digest;
}

/** An entry of the list of referrers (OCI image-spec descriptor.md). */
export interface ReferrerEntry {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const keys = {
  blob: (digest: Digest) =>
    `blobs/${digestAlgorithm(digest)}/${encodedDigest(digest).slice(0, 2)}/${encodedDigest(digest)}`,
  trash: (digest: Digest) => `trash/${path(digest)}`,
  link: (repository: string, digest: Digest) => `repositories/${repository}/_blobs/${path(digest)}`,
  manifest: (repository: string, digest: Digest) => `repositories/${repository}/_manifests/${path(digest)}`,
  tag: (repository: string, tag: string) => `repositories/${repository}/_tags/${tag}`,
  referrers: (repository: string, subject: Digest) =>
    `repositories/${repository}/_referrers/${path(subject)}`,
  upload: (repository: string, id: string) => `repositories/${repository}/_uploads/${id}`,
};

function path(digest: Digest): string {
  return `${digestAlgorithm(digest)}/${encodedDigest(digest)}`;
}

export class RegistryStore {
  readonly depot: Depot;

  constructor(depot: Depot) {
    this.depot = depot;
  }

  /** Size and age of a blob this repository has. */
  async blob(repository: string, digest: Digest): Promise<DepotEntry | undefined> {
    if ((await this.depot.stat(keys.link(repository, digest))) === undefined) return undefined;
    return await this.#blobEntry(digest);
  }

  async #blobEntry(digest: Digest): Promise<DepotEntry | undefined> {
    return (await this.depot.stat(keys.blob(digest))) ?? (await this.depot.stat(keys.trash(digest)));
  }

  /** For who sends an answer; the link was looked at. */
  async blobBody(digest: Digest, range?: { readonly start: number; readonly end: number }) {
    return (
      (await this.depot.body(keys.blob(digest), range)) ?? (await this.depot.body(keys.trash(digest), range))
    );
  }

  /** All of a small blob, by whoever may read it. */
  async bytes(digest: Digest): Promise<Uint8Array | undefined> {
    return (await this.depot.read(keys.blob(digest))) ?? (await this.depot.read(keys.trash(digest)));
  }

  /** Keeps the collector off a blob that a push counts on. False: the repository does not have it. */
  async countOn(repository: string, digest: Digest): Promise<boolean> {
    if (!(await this.depot.touch(keys.link(repository, digest)))) return false;
    return (
      (await this.depot.touch(keys.blob(digest))) || (await this.depot.stat(keys.trash(digest))) !== undefined
    );
  }

  /** Links a blob that is there; false, and no link, when it is not. */
  async link(repository: string, digest: Digest): Promise<boolean> {
    await this.depot.write(keys.link(repository, digest), "");
    if (await this.depot.touch(keys.blob(digest))) return true;
    if (await this.depot.move(keys.trash(digest), keys.blob(digest))) return true;
    await this.depot.remove(keys.link(repository, digest));
    return false;
  }

  /** Bytes that were checked, as a blob; not linked. */
  async keepBytes(digest: Digest, bytes: Uint8Array): Promise<void> {
    if (await this.depot.touch(keys.blob(digest))) return;
    await this.depot.write(keys.blob(digest), bytes);
  }

  async manifest(repository: string, digest: Digest): Promise<ManifestRecord | undefined> {
    return parsed<ManifestRecord>(await this.depot.read(keys.manifest(repository, digest)));
  }

  async putManifest(repository: string, digest: Digest, record: ManifestRecord): Promise<void> {
    await this.depot.write(keys.manifest(repository, digest), JSON.stringify(record));
  }

  async tag(repository: string, tag: string): Promise<Digest | undefined> {
    const text = decoded(await this.depot.read(keys.tag(repository, tag)));
    return text !== undefined && isDigest(text) ? text : undefined;
  }

  async putTag(repository: string, tag: string, digest: Digest): Promise<void> {
    await this.depot.write(keys.tag(repository, tag), digest);
  }

  async tags(repository: string): Promise<string[]> {
    return await this.depot.list(`repositories/${repository}/_tags`);
  }

  async putReferrer(repository: string, subject: Digest, entry: ReferrerEntry): Promise<void> {
    const name = `${keys.referrers(repository, subject)}/${entry.digest.replace(":", "-")}`;
    await this.depot.write(name, JSON.stringify(entry));
  }

  async removeReferrer(repository: string, subject: Digest, digest: Digest): Promise<void> {
    await this.depot.remove(`${keys.referrers(repository, subject)}/${digest.replace(":", "-")}`);
  }

  async referrers(repository: string, subject: Digest): Promise<ReferrerEntry[]> {
    const folder = keys.referrers(repository, subject);
    const entries: ReferrerEntry[] = [];
    for (const name of await this.depot.list(folder)) {
      const entry = parsed<ReferrerEntry>(await this.depot.read(`${folder}/${name}`));
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  /** Digests beneath one of a repository's folders. */
  async digests(repository: string, folder: "_blobs" | "_manifests"): Promise<Digest[]> {
    const found: Digest[] = [];
    for (const algorithm of ["sha256", "sha512"])
      for (const hex of await this.depot.list(`repositories/${repository}/${folder}/${algorithm}`)) {
        const digest = `${algorithm}:${hex}`;
        if (isDigest(digest)) found.push(digest);
      }
    return found;
  }

  /** Whether anything was ever kept in it. */
  async isKnown(repository: string): Promise<boolean> {
    return (await this.depot.list(`repositories/${repository}`)).some((name) =>
      ["_manifests/", "_blobs/"].includes(name),
    );
  }

  /** Every repository there is a folder of, in the order of their names. */
  async repositories(): Promise<string[]> {
    const found: string[] = [];
    const visit = async (repository: string): Promise<void> => {
      const names = await this.depot.list(repository === "" ? "repositories" : `repositories/${repository}`);
      if (names.some((name) => name.startsWith("_"))) found.push(repository);
      for (const name of names)
        if (!name.startsWith("_") && name.endsWith("/"))
          await visit(`${repository}${repository === "" ? "" : "/"}${name.slice(0, -1)}`);
    };
    await visit("");
    return found.sort((a, b) => (a < b ? -1 : 1));
  }

  /** Bytes of all blobs a repository has. */
  async sizeBytes(repository: string): Promise<number> {
    let sum = 0;
    for (const digest of await this.digests(repository, "_blobs"))
      sum += (await this.#blobEntry(digest))?.sizeBytes ?? 0;
    return sum;
  }

  newUpload(): string {
    return randomUUID();
  }
}

function decoded(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

/** Of what this file wrote itself. */
function parsed<T>(bytes: Uint8Array | undefined): T | undefined {
  const text = decoded(bytes);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}
