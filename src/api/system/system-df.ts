/** What images, containers and volumes take up on disk, and what of it nobody needs. */

import type { ApiParts } from "#api/api-parts.ts";
import { containerSummary } from "#api/containers/container-summary.ts";
import type { EngineFace, ImageDetail } from "#api/engine-face.ts";
import type { ApiRequest } from "#api/http/api-request.ts";
import { jsonReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { imageSummary } from "#api/images/image-wire.ts";
import { trashed } from "#api/trash/trash.ts";
import { volumeInspect } from "#api/trash/volume-wire.ts";
import type { CacheRecord } from "#buildkit/buildkit-parts.ts";
import type { Digest } from "#spec/digest.ts";
import type { BuildCacheUsage } from "#spec/docker-df.ts";
import type { ContainerSummary, ImageSummary, VolumeInspect } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";

const objectTypes = ["container", "image", "volume", "build-cache"];

export function diskUsageRoutes(parts: ApiParts): Route[] {
  const { diskUse } = parts.engine;
  return [
    route("GET", "/system/df", (request) => diskUsage(parts, request)),
    // This engine's own.
    route("GET", "/system/df/explain", async (request) => jsonReply(await diskUse.explain(request))),
  ];
}

async function diskUsage({ engine, buildkit }: ApiParts, request: ApiRequest): Promise<Reply> {
  const { version } = request;
  const asked = version >= 42 ? request.query.getAll("type") : [];
  for (const type of asked)
    if (!objectTypes.includes(type)) throw new Fault("invalid", `unknown object type: ${type}`);
  const wants = (type: string): boolean => asked.length === 0 || asked.includes(type);
  const images = wants("image") ? imageUsage(engine, version) : { total: 0, summaries: null };
  const cache = wants("build-cache") ? buildkit.usage() : [];
  return jsonReply({
    LayersSize: images.total,
    Images: images.summaries,
    Containers: wants("container") ? await containerUsage(engine, version) : null,
    Volumes: wants("volume") ? await volumeUsage(engine) : null,
    ...(wants("volume") && { Trash: await trashed(engine) }),
    BuildCache: cache.length === 0 ? null : cache.map(cacheUsage),
    ...(version < 42 && { BuilderSize: cache.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) }),
  });
}

function cacheUsage(record: CacheRecord): BuildCacheUsage {
  const { usedMs } = record;
  return {
    ID: record.id,
    ...(record.parents.length > 0 && { Parents: [...record.parents] }),
    Type: record.type,
    Description: record.description,
    InUse: record.inUse,
    Shared: record.shared,
    Size: record.sizeBytes,
    CreatedAt: new Date(record.createdMs).toISOString(),
    LastUsedAt: usedMs === undefined ? null : new Date(usedMs).toISOString(),
    UsageCount: record.uses,
  };
}

/** Images of other platforms, which stand behind a name, have rows of their own under that name: their layers count, too. */
function imageUsage(engine: EngineFace, version: number): { total: number; summaries: ImageSummary[] } {
  const listed = engine.images.list({ all: false, filters: {} });
  const images = [...listed, ...behindNames(engine, listed)];
  const kept = engine.images.list({ all: true, filters: {} }).filter(({ record }) => !record.intermediate);
  const layers = new Map(kept.map(({ record }) => [record.id, engine.diskUse.layersOf(record.chainId)]));
  const uses = new Map<string, number>();
  let total = 0;
  for (const { id, sizeBytes } of [...layers.values()].flat()) {
    if (!uses.has(id)) total += sizeBytes;
    uses.set(id, (uses.get(id) ?? 0) + 1);
  }
  const containers = engine.containers.list({ all: true, filters: {} });
  const summaries = images.map((image) => ({
    ...imageSummary(image, version),
    SharedSize: (layers.get(image.record.id) ?? [])
      .filter(({ id }) => (uses.get(id) ?? 0) > 1)
      .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    Containers: containers.filter((container) => container.image.id === image.record.id).length,
  }));
  return { total, summaries };
}

/** What names stand for on other platforms, each with the names that lead there. */
function behindNames(engine: EngineFace, listed: readonly ImageDetail[]): ImageDetail[] {
  const own = new Set(listed.map(({ record }) => record.id));
  const found = new Map<Digest, ImageDetail>();
  for (const name of listed.flatMap(({ references }) => references))
    for (const image of engine.images.candidates(name)) {
      const { id } = image.record;
      if (own.has(id)) continue;
      const references = [...(found.get(id)?.references ?? []), name];
      found.set(id, { ...image, references });
    }
  return [...found.values()];
}

async function containerUsage(engine: EngineFace, version: number): Promise<ContainerSummary[]> {
  const now = Date.now();
  const summaries: ContainerSummary[] = [];
  // One after another: each walks a tree.
  for (const { id } of engine.containers.list({ all: true, filters: {} })) {
    try {
      const size = await engine.containers.size(id);
      summaries.push(containerSummary(engine.containers.glance(id), version, now, size));
    } catch (thrown) {
      // Removed while the others were looked at.
      if (Fault.from(thrown).kind !== "not-found") throw thrown;
    }
  }
  return summaries;
}

async function volumeUsage(engine: EngineFace): Promise<VolumeInspect[]> {
  const containers = engine.containers.list({ all: true, filters: {} });
  const volumes: VolumeInspect[] = [];
  for (const volume of engine.volumes.list())
    volumes.push({
      ...volumeInspect(volume),
      UsageData: {
        RefCount: containers.filter(({ mounts }) => mounts.some(({ name }) => name === volume.name)).length,
        Size: await engine.diskUse.bytesOf(volume.mountpoint),
      },
    });
  return volumes;
}
