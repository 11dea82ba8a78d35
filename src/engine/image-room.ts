/** What belongs to images, put together: records, removal, transfers. */
import type { ContainerRecord } from "#spec/container.ts";
import type { Digest } from "#spec/digest.ts";
import type { ImageRunConfig } from "#spec/image.ts";
import type { Blobs } from "#store/blobs.ts";
import type { Layers } from "#store/layers.ts";
import type { Records } from "#store/records.ts";
import type { Emit } from "./emit.ts";
import { ImageIndex } from "./image-index.ts";
import { Images } from "./images.ts";
import { Leases } from "./leases.ts";
import type { RegistryPart } from "./parts.ts";
import { Provenance } from "./provenance.ts";
import { Pulls } from "./pull.ts";
import { Pushes } from "./push.ts";
import { Transfers } from "./transfers.ts";

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
}

export interface ImageRoom {
  readonly images: Images;
  readonly transfers: Transfers;
}

export async function openImageRoom(parts: ImageRoomParts): Promise<ImageRoom> {
  const index = new ImageIndex(parts.records);
  const provenance = new Provenance(parts.records);
  const leases = new Leases();
  const platform = { os: "linux", architecture: parts.architecture };
  const images = await Images.open({ ...parts, index, provenance, leases, platform });
  const shared = { ...parts, index, provenance, leases, images };
  const transfers = new Transfers({
    registry: parts.registry,
    pulls: new Pulls(shared),
    pushes: new Pushes(shared),
  });
  return { images, transfers };
}
