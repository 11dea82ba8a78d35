/**
 * The body of `POST /volumes/create` as a schema.
 * Pure.
 */
import * as v from "valibot";
import { fields, maybe, text, textMap } from "./docker-json.ts";

/** What Docker marks volumes with that nobody named. */
export const anonymousLabel = "com.docker.volume.anonymous";

/** Of a snapshot: the volume it is of. */
export const snapshotLabel = "wherry.snapshot-of";

/** Of `POST /volumes/prune`. Sizes in bytes. */
export interface VolumePruneAnswer {
  readonly VolumesDeleted: string[] | null;
  readonly SpaceReclaimed: number;
  /** wherry's own, for `dryRun`: what would go. */
  readonly Volumes?: { readonly Name: string; readonly CreatedAt: string; readonly Size: number }[];
}

export const volumeCreateBody = fields({
  Name: text,
  Driver: text,
  DriverOpts: textMap,
  Labels: textMap,
  ClusterVolumeSpec: maybe(v.unknown()),
});
