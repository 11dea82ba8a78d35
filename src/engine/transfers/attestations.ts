/**
 * What an index says about an image beside the image: buildx's provenance and bills of material, as manifests for no platform
 * that refer to the image's own.
 * Promises: they are kept byte for byte with all their blobs, or not at all: an image runs without them, so nothing about
 * them fails a pull. A push gives back what was kept.
 */

import { gathered, once } from "#engine/images/counted.ts";
import type { AttachedManifest } from "#engine/images/provenance.ts";
import type { RegistrySource, RegistryTarget } from "#engine/parts.ts";
import type { Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor } from "#spec/image.ts";
import { type ImageIndexDocument, parseManifest } from "#spec/manifest.ts";
import type { Blobs } from "#store/blobs.ts";

const refersTo = "vnd.docker.reference.digest";
/** Of one image. */
const attestationsMax = 8;
/** Of one attestation. */
const blobsMax = 32;
/** Bytes of all blobs of one attestation. */
const blobBytesMax = 16 << 20;

/** Fetches into `blobs` what an index has about one of its manifests. @throws The signal's reason. */
export async function keepAttestations(
  blobs: Pick<Blobs, "put">,
  source: RegistrySource,
  index: ImageIndexDocument,
  o: { readonly of: Digest; readonly signal: AbortSignal },
): Promise<AttachedManifest[]> {
  const entries = index.manifests.filter(({ annotations }) => annotations?.[refersTo] === o.of);
  const kept: AttachedManifest[] = [];
  for (const entry of entries.slice(0, attestationsMax))
    try {
      kept.push(await keepOne(blobs, source, entry, o.signal));
    } catch (thrown) {
      o.signal.throwIfAborted();
      // A full disk is no fault of the attestation.
      if (Fault.from(thrown).kind === "unavailable") throw thrown;
    }
  return kept;
}

async function keepOne(
  blobs: Pick<Blobs, "put">,
  source: RegistrySource,
  entry: Descriptor,
  signal: AbortSignal,
): Promise<AttachedManifest> {
  const { bytes, digest } = await source.manifest(entry.digest, signal);
  const document = parseManifest(bytes, entry.mediaType);
  if (document.kind === "index") throw new Fault("unsupported", `attestation ${digest} is an index`);
  const parts = [document.config, ...document.layers];
  const total = parts.reduce((sum, { size }) => sum + size, 0);
  if (parts.length > blobsMax || total > blobBytesMax)
    throw new Fault("unsupported", `attestation ${digest} has more than ${blobBytesMax} bytes`);
  for (const part of parts) {
    await using fetched = await source.fetch(part, { signal, tell: () => undefined });
    await blobs.put(once(await gathered(fetched.read())), { digest: part.digest });
    fetched.spend();
  }
  await blobs.put(once(bytes), { digest });
  return { digest, mediaType: document.mediaType, blobs: parts.map((part) => part.digest) };
}

/** Sends what was kept, blobs before the manifest that names them. */
export async function sendAttestations(
  blobs: Pick<Blobs, "read">,
  target: RegistryTarget,
  attached: readonly AttachedManifest[],
  signal: AbortSignal,
): Promise<void> {
  for (const { digest, mediaType, blobs: parts } of attached) {
    for (const part of new Set(parts)) {
      if ((await target.hasBlob(part, signal)) !== undefined) continue;
      const bytes = await blobs.read(part);
      await target.upload(() => once(bytes), { signal });
    }
    await target.putManifest(digest, { bytes: await blobs.read(digest), mediaType }, signal);
  }
}
