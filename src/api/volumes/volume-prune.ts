/** `POST /volumes/prune`: Docker's, with wherry's own `now` and `dryRun`. */

import type { ApiParts } from "#api/api-parts.ts";
import type { EngineFace } from "#api/engine-face.ts";
import { type ApiRequest, flag, text } from "#api/http/api-request.ts";
import { jsonReply, type Reply } from "#api/http/reply.ts";
import { pruneTest } from "#api/prune-filters.ts";
import { removalOptions } from "#api/trash/trash.ts";
import type { VolumeRecord } from "#api/volumes-face.ts";
import { anonymousLabel, type VolumePruneAnswer } from "#spec/docker-volume.ts";
import { booleanFilter, parseFilters } from "#spec/filters.ts";

/**
 * Since 1.42 only volumes nobody named go, unless all are asked for. Volumes of any container stay. They go into the
 * trash; with `now` for good, and with them what of the trash could have been pruned. `dryRun` only tells.
 */
export async function pruneVolumes({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const wanted = mayGo(request);
  const { now, removal = engine.volumes.trash.newRemoval() } = removalOptions(request);
  const used = usedVolumes(engine);
  const found = engine.volumes.list().filter((volume) => !used.has(volume.name) && wanted(volume));
  if (flag(request, "dryRun")) return jsonReply(await told(engine, found));
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const { name, mountpoint } of found) {
    if (request.signal.aborted) break;
    try {
      const bytes = await engine.diskUse.bytesOf(mountpoint);
      await engine.volumes.remove(name, { force: false, now, removal });
      deleted.push(name);
      reclaimed += bytes;
    } catch {
      // Taken by a container meanwhile.
    }
  }
  if (now) reclaimed += await engine.volumes.trash.empty(({ volume }) => wanted(volume));
  engine.events.pruned("volume", reclaimed);
  const answer: VolumePruneAnswer = { VolumesDeleted: deleted, SpaceReclaimed: reclaimed };
  return jsonReply(answer);
}

function mayGo(request: ApiRequest): (volume: VolumeRecord) => boolean {
  const filters = text(request, "filters");
  const allowed = ["all", "label", "label!"];
  const all = request.version < 42 || booleanFilter(parseFilters(filters, allowed), "all", false);
  const wanted = pruneTest(filters, allowed, Date.now());
  return (volume) => wanted(volume) && (all || Object.hasOwn(volume.labels, anonymousLabel));
}

async function told(engine: EngineFace, found: readonly VolumeRecord[]): Promise<VolumePruneAnswer> {
  const Volumes: NonNullable<VolumePruneAnswer["Volumes"]> = [];
  for (const { name, created, mountpoint } of found)
    Volumes.push({ Name: name, CreatedAt: created, Size: await engine.diskUse.bytesOf(mountpoint) });
  return { VolumesDeleted: [], SpaceReclaimed: 0, Volumes };
}

/** Names of the volumes that containers have. */
export function usedVolumes(engine: EngineFace): Set<string> {
  const records = engine.containers.list({ all: true, filters: {} });
  return new Set(
    records.flatMap(({ mounts }) => mounts.flatMap(({ name }) => (name === undefined ? [] : [name]))),
  );
}
