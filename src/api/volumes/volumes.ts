/** Volumes of the local driver. */

import type { ApiParts } from "#api/api-parts.ts";
import { fileRoutes } from "#api/containers/archive.ts";
import { type ApiRequest, flag, json, param, text } from "#api/http/api-request.ts";
import { emptyReply, jsonReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { removalOptions } from "#api/trash/trash.ts";
import { volumeInspect } from "#api/trash/volume-wire.ts";
import { snapshotLabel, volumeCreateBody } from "#spec/docker-volume.ts";
import type { VolumeList } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { booleanFilter, matchesExactly, matchesLabels, matchesPattern, parseFilters } from "#spec/filters.ts";
import { pruneVolumes, usedVolumes } from "./volume-prune.ts";

export function volumeRoutes(parts: ApiParts): Route[] {
  const { volumes } = parts.engine;
  return [
    route("GET", "/volumes", (request) => list(parts, request)),
    route("POST", "/volumes/create", (request) => create(parts, request)),
    route("POST", "/volumes/prune", (request) => pruneVolumes(parts, request)),
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
    // This engine's own.
    route("POST", "/volumes/{name}/protect", (request) => {
      volumes.protect(param(request, "name"), flag(request, "on", true));
      return emptyReply();
    }),
    route("DELETE", "/volumes/{name}", async (request) => {
      const o = { force: flag(request, "force"), ...removalOptions(request) };
      await volumes.remove(param(request, "name"), o);
      return emptyReply();
    }),
  ];
}

async function list({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const filters = parseFilters(text(request, "filters"), ["dangling", "driver", "label", "name"]);
  const { label, dangling: given } = filters;
  const dangling = given === undefined ? undefined : booleanFilter(filters, "dangling", false);
  const used = usedVolumes(engine);
  const { volumes, warnings } = await engine.volumes.listAll(request);
  const found = volumes.filter(
    ({ name, driver, labels }) =>
      matchesExactly(filters, "driver", driver) &&
      matchesPattern(filters, "name", name) &&
      matchesLabels(label, labels) &&
      (dangling === undefined || dangling !== used.has(name)),
  );
  const answer: VolumeList = {
    Volumes: found.map(volumeInspect),
    Warnings: warnings.length === 0 ? null : warnings,
  };
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
