/**
 * A volume in Docker's shape.
 * Pure.
 */

import type { VolumeRecord } from "#api/volumes-face.ts";
import type { VolumeInspect } from "#spec/docker-wire.ts";

export function volumeInspect(volume: VolumeRecord): VolumeInspect {
  const orNull = (map: Readonly<Record<string, string>>): Record<string, string> | null =>
    Object.keys(map).length === 0 ? null : { ...map };
  return {
    CreatedAt: volume.created,
    Driver: volume.driver,
    Labels: orNull(volume.labels),
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: orNull(volume.options),
    Scope: "local",
  };
}
