/**
 * The collector of the registry server: mark and sweep, while it serves and while others do.
 * Promises: what a manifest needs stays; what a push brought, looked for or mounted within the grace stays; a blob that is
 * linked while it is being taken away comes back (see registry-store). Never: trusts one look.
 */
import { type Digest, isDigest } from "#spec/digest.ts";
import { keys, type RegistryStore } from "./registry-store.ts";
import { readPushed } from "./served-manifest.ts";

export interface Collected {
  readonly blobs: number;
  readonly bytes: number;
  readonly links: number;
  readonly uploads: number;
}

export interface CollectOptions {
  /** Younger links, blobs and files without a name are let alone. */
  readonly graceMs: number;
  /** Of a cache: manifests nobody asked for in as long go, and their tags. */
  readonly expireMs?: number | undefined;
  /** Uploads nobody went on with for as long are given up. */
  readonly uploadMs: number;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** Two at once do no harm. */
export async function collect(store: RegistryStore, o: CollectOptions): Promise<Collected> {
  let links = 0;
  let uploads = 0;
  for (const repository of await store.repositories()) {
    o.signal.throwIfAborted();
    uploads += await sweepUploads(store, repository, o);
    if (o.expireMs !== undefined) await expireManifests(store, repository, o.nowMs - o.expireMs);
    links += await sweepLinks(store, repository, o);
  }
  const swept = await sweepBlobs(store, o);
  await store.depot.sweep(o.nowMs - o.graceMs, o.signal);
  return { ...swept, links, uploads };
}

/** What a collection now would take, biggest last; nothing is changed. Manifests that expire are not counted. */
export async function survey(
  store: RegistryStore,
  o: CollectOptions,
): Promise<{ readonly blobs: readonly { digest: Digest; sizeBytes: number }[]; readonly uploads: number }> {
  const linked = new Set<Digest>();
  let uploads = 0;
  for (const repository of await store.repositories()) {
    o.signal.throwIfAborted();
    uploads += (await oldUploads(store, repository, o)).length;
    const idle = new Set(await idleLinks(store, repository, o));
    for (const folder of ["_blobs", "_manifests"] as const)
      for (const digest of await store.digests(repository, folder))
        if (folder === "_manifests" || !idle.has(digest)) linked.add(digest);
  }
  const blobs: { digest: Digest; sizeBytes: number }[] = [];
  for (const digest of await storedBlobs(store)) {
    const found = await store.depot.stat(keys.blob(digest));
    if (found !== undefined && !linked.has(digest) && found.touchedMs < o.nowMs - o.graceMs)
      blobs.push({ digest, sizeBytes: found.sizeBytes });
  }
  return { blobs: blobs.sort((one, other) => one.sizeBytes - other.sizeBytes), uploads };
}

async function sweepUploads(store: RegistryStore, repository: string, o: CollectOptions): Promise<number> {
  let count = 0;
  for (const key of await oldUploads(store, repository, o)) if (await store.depot.remove(key)) count++;
  return count;
}

async function oldUploads(store: RegistryStore, repository: string, o: CollectOptions): Promise<string[]> {
  const folder = `repositories/${repository}/_uploads`;
  const old: string[] = [];
  for (const name of await store.depot.list(folder)) {
    const found = await store.depot.stat(`${folder}/${name}`);
    if (found !== undefined && found.touchedMs < o.nowMs - o.uploadMs) old.push(`${folder}/${name}`);
  }
  return old;
}

/** Links of a repository that none of its manifests needs. */
async function sweepLinks(store: RegistryStore, repository: string, o: CollectOptions): Promise<number> {
  let count = 0;
  // A manifest that came since the look puts the link back itself (serve-manifests).
  for (const digest of await idleLinks(store, repository, o))
    if (await store.depot.remove(keys.link(repository, digest))) count++;
  return count;
}

async function idleLinks(store: RegistryStore, repository: string, o: CollectOptions): Promise<Digest[]> {
  const needed = await neededBlobs(store, repository);
  const idle: Digest[] = [];
  for (const digest of await store.digests(repository, "_blobs")) {
    if (needed.has(digest)) continue;
    const found = await store.depot.stat(keys.link(repository, digest));
    if (found !== undefined && found.touchedMs < o.nowMs - o.graceMs) idle.push(digest);
  }
  return idle;
}

async function expireManifests(store: RegistryStore, repository: string, beforeMs: number): Promise<void> {
  const expired = new Set<Digest>();
  for (const digest of await store.digests(repository, "_manifests")) {
    const found = await store.depot.stat(keys.manifest(repository, digest));
    if (found !== undefined && found.touchedMs < beforeMs) expired.add(digest);
  }
  if (expired.size === 0) return;
  for (const tag of await store.tags(repository)) {
    const digest = await store.tag(repository, tag);
    if (digest !== undefined && expired.has(digest)) await store.depot.remove(keys.tag(repository, tag));
  }
  for (const digest of expired) await store.depot.remove(keys.manifest(repository, digest));
}

async function neededBlobs(store: RegistryStore, repository: string): Promise<ReadonlySet<Digest>> {
  const needed = new Set<Digest>();
  for (const digest of await store.digests(repository, "_manifests")) {
    const bytes = await store.bytes(digest);
    if (bytes === undefined) continue;
    for (const each of readPushed(bytes, undefined).blobs) needed.add(each);
  }
  return needed;
}

/** Blobs that no repository has: moved away first, and back when somebody linked them meanwhile. */
async function sweepBlobs(
  store: RegistryStore,
  o: CollectOptions,
): Promise<{ readonly blobs: number; readonly bytes: number }> {
  const linked = await linkedBlobs(store);
  for (const digest of await storedBlobs(store)) {
    o.signal.throwIfAborted();
    const found = await store.depot.stat(keys.blob(digest));
    if (linked.has(digest) || found === undefined || found.touchedMs >= o.nowMs - o.graceMs) continue;
    await store.depot.move(keys.blob(digest), keys.trash(digest));
  }
  const linkedSince = await linkedBlobs(store);
  let blobs = 0;
  let bytes = 0;
  for (const algorithm of ["sha256", "sha512"])
    for (const hex of await store.depot.list(`trash/${algorithm}`)) {
      const digest = `${algorithm}:${hex}`;
      if (!isDigest(digest)) continue;
      const found = await store.depot.stat(keys.trash(digest));
      if (linkedSince.has(digest)) await store.depot.move(keys.trash(digest), keys.blob(digest));
      else if (await store.depot.remove(keys.trash(digest))) {
        blobs++;
        bytes += found?.sizeBytes ?? 0;
      }
    }
  return { blobs, bytes };
}

async function linkedBlobs(store: RegistryStore): Promise<ReadonlySet<Digest>> {
  const linked = new Set<Digest>();
  for (const repository of await store.repositories())
    for (const folder of ["_blobs", "_manifests"] as const)
      for (const digest of await store.digests(repository, folder)) linked.add(digest);
  return linked;
}

async function storedBlobs(store: RegistryStore): Promise<Digest[]> {
  const found: Digest[] = [];
  for (const algorithm of ["sha256", "sha512"])
    for (const start of await store.depot.list(`blobs/${algorithm}`))
      for (const hex of await store.depot.list(`blobs/${algorithm}/${start.slice(0, -1)}`)) {
        const digest = `${algorithm}:${hex}`;
        if (isDigest(digest)) found.push(digest);
      }
  return found;
}
