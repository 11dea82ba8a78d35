/** Images: list, inspect, history, names, import, removal. */

import type { ApiParts } from "#api/api-parts.ts";
import { type ApiRequest, flag, param, text } from "#api/http/api-request.ts";
import { emptyReply, jsonReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { pruneTest, untilTest } from "#api/prune-filters.ts";
import { Fault } from "#spec/fault.ts";
import { booleanFilter, parseFilters } from "#spec/filters.ts";
import type { Platform } from "#spec/image.ts";
import { parsePlatform } from "#spec/platform.ts";
import { familiarReference, parseReference, parseTag, withDefaultTag } from "#spec/reference.ts";
import { historyItem, imageDeleted, imageInspect, imageSummary, manifestSummary } from "./image-wire.ts";
import { platformText, pull } from "./transfers.ts";

const listFilters = ["before", "dangling", "label", "label!", "reference", "since", "until"] as const;

export function imageRoutes(parts: ApiParts): Route[] {
  const { images } = parts.engine;
  return [
    route("GET", "/images/json", (request) => list(parts, request)),
    route("POST", "/images/create", (request) => create(parts, request)),
    route("POST", "/images/prune", (request) => prune(parts, request)),
    route("GET", "/images/{name}/json", (request) => inspect(parts, request)),
    route("GET", "/images/{name}/history", (request) =>
      jsonReply(images.history(param(request, "name"), platformOf(request, 48)).map(historyItem)),
    ),
    route("POST", "/images/{name}/tag", (request) => {
      const target = repositoryTag(request);
      if (target === undefined) throw new Fault("invalid", "invalid reference format");
      images.tag(param(request, "name"), target);
      return emptyReply(201);
    }),
    route("DELETE", "/images/{name}", (request) => remove(parts, request)),
    // This engine's own: why the store has what it has.
    route("GET", "/blobs", async () => {
      const kept = await parts.engine.collector.explain(Date.now());
      return jsonReply(
        kept.map(({ digest, sizeBytes, reasons }) => ({ Digest: digest, Size: sizeBytes, Reasons: reasons })),
      );
    }),
  ];
}

function list({ engine }: ApiParts, request: ApiRequest): Reply {
  const { version } = request;
  const old = version < 25 ? text(request, "filter") : undefined;
  const { until, ...rest } = parseFilters(text(request, "filters"), listFilters);
  const filters = { ...(old !== undefined && { reference: [old] }), ...rest };
  const early = untilTest(until, Date.now());
  const found = engine.images
    .list({ all: flag(request, "all"), filters })
    .filter(({ record }) => early(record.created));
  const shared = version >= 42 && flag(request, "shared-size") ? engine.images.sharedSizes() : undefined;
  const manifests = version >= 47 && flag(request, "manifests");
  return jsonReply(
    found.map((image) => ({
      ...imageSummary(image, version, shared?.get(image.record.id)),
      ...(manifests && { Manifests: engine.images.variants(image.record.id).map(manifestSummary) }),
    })),
  );
}

function inspect({ engine }: ApiParts, request: ApiRequest): Reply {
  const { version } = request;
  const image = engine.images.get(param(request, "name"), platformOf(request, 49));
  const variants = version >= 48 ? engine.images.variants(image.record.id) : [];
  const [own] = variants;
  return jsonReply({
    ...imageInspect(image, version),
    ...(own !== undefined && { Descriptor: own.descriptor }),
    ...(flag(request, "manifests") && version >= 48 && { Manifests: variants.map(manifestSummary) }),
  });
}

/** Asked for since a version of the API. */
function platformOf(request: ApiRequest, since: number): Platform | undefined {
  const given = request.version < since ? undefined : platformText(text(request, "platform"));
  return given === undefined ? undefined : parsePlatform(given);
}

/** `repo` and `tag` as one familiar reference; undefined when no repository is named. */
export function repositoryTag(request: ApiRequest): string | undefined {
  const repository = text(request, "repo");
  if (repository === undefined) return undefined;
  const parsed = parseReference(repository);
  if (parsed.digest !== undefined) throw new Fault("invalid", "cannot import digest reference");
  const tag = text(request, "tag");
  return familiarReference(tag === undefined ? withDefaultTag(parsed) : { ...parsed, tag: parseTag(tag) });
}

async function create(parts: ApiParts, request: ApiRequest): Promise<Reply> {
  const { engine } = parts;
  const pulled = text(request, "fromImage");
  if (pulled !== undefined) return await pull(parts, request, pulled);
  const source = text(request, "fromSrc");
  if (source !== "-")
    throw new Fault(
      "unsupported",
      source === undefined
        ? "name what to make the image from: fromSrc=- reads a tar from the request"
        : `cannot import from ${source}: fetch it and send it as the request's body, with fromSrc=-`,
    );
  const reference = repositoryTag(request);
  const id = await engine.images.import(request.body, {
    reference,
    changes: request.query.getAll("changes").filter((change) => change !== ""),
    message: text(request, "message") ?? "Imported from -",
    platform: request.version >= 32 ? text(request, "platform") : undefined,
    signal: request.signal,
  });
  return jsonReply({ status: id });
}

async function remove({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const name = param(request, "name");
  if (name.trim() === "") throw new Fault("invalid", "image name cannot be blank");
  const removed = await engine.images.remove(name, {
    force: flag(request, "force"),
    noPrune: flag(request, "noprune"),
  });
  return jsonReply(removed.map(imageDeleted));
}

/** Without `dangling=false` only images without a name go. What a container uses stays. */
async function prune({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const filters = text(request, "filters");
  const allowed = ["dangling", "until", "label", "label!"];
  const dangling = booleanFilter(parseFilters(filters, allowed), "dangling", true);
  const wanted = pruneTest(filters, allowed, Date.now());
  const used = new Set(engine.containers.list({ all: true, filters: {} }).map(({ image }) => image.id));
  const deleted: ReturnType<typeof imageDeleted>[] = [];
  let reclaimed = 0;
  for (const { record, config, references } of engine.images.list({ all: false, filters: {} })) {
    if (used.has(record.id) || (dangling && references.length > 0) || request.signal.aborted) continue;
    if (!wanted({ created: record.created, labels: config.config.Labels })) continue;
    try {
      for (const target of references.length === 0 ? [record.id] : references) {
        const removed = await engine.images.remove(target, { force: false, noPrune: false });
        deleted.push(...removed.map(imageDeleted));
        for (const item of removed) reclaimed += "deleted" in item ? item.freedBytes : 0;
      }
    } catch {
      // In use by now, or the parent of another image.
    }
  }
  engine.events.pruned("image", reclaimed);
  return jsonReply({ ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed });
}
