/** Volumes of the local driver. */

import { anonymousLabel, snapshotLabel, volumeCreateBody } from "#spec/docker-volume.ts";
import type { VolumeInspect, VolumeList } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { booleanFilter, matchesExactly, matchesLabels, matchesPattern, parseFilters } from "#spec/filters.ts";
import type { ApiParts } from "./api-parts.ts";
import { type ApiRequest, flag, json, param, text } from "./api-request.ts";
import { fileRoutes } from "./archive.ts";
import type { EngineFace, VolumeRecord } from "./engine-face.ts";
import { pruneTest } from "./prune-filters.ts";
import { emptyReply, jsonReply, type Reply } from "./reply.ts";
import { type Route, route } from "./router.ts";

export function volumeRoutes(parts: ApiParts): Route[] {
  const { volumes } = parts.engine;
  return [
    route("GET", "/volumes", (request) => list(parts, request)),
    route("POST", "/volumes/create", (request) => create(parts, request)),
    route("POST", "/volumes/prune", (request) => prune(parts, request)),
    // Before the next, whose name may have slashes.
    ...fileRoutes("/volumes", volumes.files),
    route("GET", "/volumes/{name}", (request) =>
      jsonReply(volumeInspect(volumes.get(param(request, "name")))),
    ),
    route("PUT", "/volumes/{name}/import", async (request) => {
      await volumes.files.fill(param(request, "name"), request.body, request);
      return emptyReply();
    }),
    route("POST", "/volumes/{name}/clone", (request) => clone(parts, request)),
    route("POST", "/volumes/{name}/rename", async (request) => {
      await volumes.copies.rename(param(request, "name"), wanted(request, "name"));
      return emptyReply();
    }),
    route("POST", "/volumes/{name}/restore", async (request) => {
      await volumes.copies.restore(param(request, "name"), wanted(request, "from"), request);
      return emptyReply();
    }),
    route("DELETE", "/volumes/{name}", async (request) => {
      await volumes.remove(param(request, "name"), { force: flag(request, "force") });
      return emptyReply();
    }),
  ];
}

function list({ engine }: ApiParts, request: ApiRequest): Reply {
  const filters = parseFilters(text(request, "filters"), ["dangling", "driver", "label", "name"]);
  const { label, dangling: given } = filters;
  const dangling = given === undefined ? undefined : booleanFilter(filters, "dangling", false);
  const used = usedVolumes(engine);
  const found = engine.volumes
    .list()
    .filter(
      ({ name, driver, labels }) =>
        matchesExactly(filters, "driver", driver) &&
        matchesPattern(filters, "name", name) &&
        matchesLabels(label, labels) &&
        (dangling === undefined || dangling !== used.has(name)),
    );
  const answer: VolumeList = { Volumes: found.map(volumeInspect), Warnings: null };
  return jsonReply(answer);
}

async function create({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const body = await json(request, volumeCreateBody);
  if (body.ClusterVolumeSpec !== undefined)
    throw new Fault("unsupported", "cluster volumes are not supported by this engine");
  const volume = await engine.volumes.create({
    name: body.Name || undefined,
    driver: body.Driver || undefined,
    options: body.DriverOpts ?? {},
    labels: body.Labels ?? {},
  });
  return jsonReply(volumeInspect(volume), 201);
}

/** wherry's own. A snapshot is a volume as others are, labelled with the name of the one it is of. */
async function clone({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const source = param(request, "name");
  const labels: Record<string, string> = flag(request, "snapshot") ? { [snapshotLabel]: source } : {};
  const { signal } = request;
  const volume = await engine.volumes.copies.clone(source, { name: wanted(request, "name"), labels, signal });
  return jsonReply(volumeInspect(volume), 201);
}

function wanted(request: ApiRequest, name: string): string {
  const value = text(request, name);
  if (value === undefined || value === "")
    throw new Fault("invalid", `bad parameter: ${name} cannot be empty`);
  return value;
}

/** Since 1.42 only volumes nobody named go, unless all are asked for. Volumes of any container stay. */
async function prune({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const filters = text(request, "filters");
  const allowed = ["all", "label", "label!"];
  const all = request.version < 42 || booleanFilter(parseFilters(filters, allowed), "all", false);
  const wanted = pruneTest(filters, allowed, Date.now());
  const used = usedVolumes(engine);
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const volume of engine.volumes.list()) {
    if (used.has(volume.name) || request.signal.aborted || !wanted(volume)) continue;
    if (!all && !Object.hasOwn(volume.labels, anonymousLabel)) continue;
    try {
      const bytes = await engine.diskUse.bytesOf(volume.mountpoint);
      await engine.volumes.remove(volume.name, { force: false });
      deleted.push(volume.name);
      reclaimed += bytes;
    } catch {
      // Taken by a container meanwhile.
    }
  }
  engine.events.pruned("volume", reclaimed);
  return jsonReply({ VolumesDeleted: deleted, SpaceReclaimed: reclaimed });
}

function usedVolumes(engine: EngineFace): Set<string> {
  const records = engine.containers.list({ all: true, filters: {} });
  return new Set(
    records.flatMap(({ mounts }) => mounts.flatMap(({ name }) => (name === undefined ? [] : [name]))),
  );
}

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
