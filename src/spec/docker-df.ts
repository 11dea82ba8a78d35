/** `GET /system/df` on the wire. */

import type { ContainerSummary, ImageSummary, VolumeInspect } from "./docker-wire.ts";
import type { TrashedVolume } from "./trash.ts";

/** Sizes in bytes; null for what was not asked for. */
export interface DiskUsage {
  /** Of all layers of images, each counted once. */
  LayersSize: number;
  Images: ImageSummary[] | null;
  Containers: ContainerSummary[] | null;
  Volumes: VolumeInspect[] | null;
  BuildCache: BuildCacheUsage[] | null;
  /** wherry's own: removed volumes that are kept for a while. */
  Trash?: TrashedVolume[];
}

/** wherry's own, `GET /system/df/explain`: all that lies below the data root, as du(1) counts it. */
export interface DiskExplanation {
  readonly Root: string;
  readonly Bytes: number;
  readonly Parts: readonly {
    readonly Name: string;
    readonly Bytes: number;
    /** Files of any kind, directories too. */
    readonly Files: number;
    /** How it gets smaller. */
    readonly Hint: string;
  }[];
}

/** What builds keep; sizes in bytes, times RFC 3339. */
export interface BuildCacheUsage {
  ID: string;
  Parents?: string[];
  Type: string;
  Description: string;
  InUse: boolean;
  Shared: boolean;
  Size: number;
  CreatedAt: string;
  LastUsedAt: string | null;
  UsageCount: number;
}
