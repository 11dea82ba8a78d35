/** What belongs to images, put together: records, removal, transfers. */
import type { ContainerRecord } from "#spec/container.ts";
import type { Digest } from "#spec/digest.ts";
import type { Fault } from "#spec/fault.ts";
import type { ImageRunConfig, Platform } from "#spec/image.ts";
import type { Blobs } from "#store/blobs.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { Records } from "#store/records.ts";
import { clearSpools } from "#store/spool.ts";
import type { Emit } from "./emit.ts";
import { ImageCollector } from "./images/image-collector.ts";
import { ImageIndex } from "./images/image-index.ts";
import { saveImages } from "./images/image-save.ts";
import { Images } from "./images/images.ts";
import { KeptLayers } from "./images/kept-layers.ts";
import { Leases } from "./images/leases.ts";
import { Provenance } from "./images/provenance.ts";
import type { RegistryPart } from "./parts.ts";
import { type LoadOptions, loadImages } from "./transfers/image-load.ts";
import { ManifestLists } from "./transfers/manifest-lists.ts";
import { Pulls } from "./transfers/pull.ts";
import { Pushes } from "./transfers/push.ts";
import { RemoteArtifacts } from "./transfers/remote-artifacts.ts";
import { Transfers } from "./transfers/transfers.ts";

/** Images in and out of archives. */
export interface ImageArchives {
  load(archive: AsyncIterable<Uint8Array>, o: LoadOptions): Promise<void>;
  save(
    references: readonly string[],
    o: { readonly platforms: readonly Platform[]; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array>>;
}

export interface ImageRoomParts {
  readonly records: Records;
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly registry: RegistryPart;
  readonly emit: Emit;
  readonly applyChanges: (config: ImageRunConfig, changes: readonly string[]) => ImageRunConfig;
  readonly architecture: string;
  readonly containersOf: (id: Digest) => readonly ContainerRecord[];
  readonly now: () => string;
  readonly report: (fault: Fault) => void;
  /** Where loads keep what they need for a while. */
  readonly spoolRoot: string;
}

export interface ImageRoom {
  readonly images: Images;
  readonly collector: ImageCollector;
  readonly transfers: Transfers;
  readonly imageArchives: ImageArchives;
}

export async function openImageRoom(parts: ImageRoomParts): Promise<ImageRoom> {
  const index = new ImageIndex(parts.records);
  const provenance = new Provenance(parts.records);
  const leases = new Leases();
  const kept = new KeptLayers(parts.records);
  const platform = { os: "linux", architecture: parts.architecture };
  const images = await Images.open({ ...parts, index, provenance, leases, kept, platform });
  const shared = { ...parts, index, provenance, leases, kept, images };
  const transfers = new Transfers({
    registry: parts.registry,
    pulls: new Pulls(shared),
    pushes: new Pushes(shared),
    lists: new ManifestLists(parts.registry),
    artifacts: new RemoteArtifacts(shared),
  });
  await clearSpools(parts.spoolRoot);
  const imageArchives: ImageArchives = {
    load: async (archive, o) => await loadImages(shared, archive, o),
    save: async (references, o) => await saveImages(shared, references, o),
  };
  const collector = new ImageCollector(shared);
  return { images, collector, transfers, imageArchives };
}
