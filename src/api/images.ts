/** Images: list, inspect, history, names, import, removal. */
import { Fault } from "#spec/fault.ts";
import { booleanFilter, parseFilters } from "#spec/filters.ts";
import { familiarReference, parseReference, parseTag, withDefaultTag } from "#spec/reference.ts";
import type { ApiParts } from "./api-parts.ts";
import { type ApiRequest, flag, param, text } from "./api-request.ts";
import { historyItem, imageDeleted, imageInspect, imageSummary } from "./image-wire.ts";
import { pruneTest } from "./prune-filters.ts";
import { emptyReply, jsonReply, type Reply } from "./reply.ts";
import { type Route, route } from "./router.ts";
import { pull } from "./transfers.ts";

const listFilters = ["before", "dangling", "label", "reference", "since", "until"] as const;

export function imageRoutes(parts: ApiParts): Route[] {
  const { images } = parts.engine;
  return [
    route("GET", "/images/json", (request) => list(parts, request)),
    route("POST", "/images/create", (request) => create(parts, request)),
    route("POST", "/images/prune", (request) => prune(parts, request)),
    route("GET", "/images/{name}/json", (request) => inspect(parts, request)),
    route("GET", "/images/{name}/history", (request) =>
      jsonReply(images.history(param(request, "name")).map(historyItem)),
    ),
    route("POST", "/images/{name}/tag", (request) => {
      const target = repositoryTag(request);
      if (target === undefined) throw new Fault("invalid", "invalid reference format");
      images.tag(param(request, "name"), target);
      return emptyReply(201);
    }),
    route("DELETE", "/images/{name}", (request) => remove(parts, request)),
  ];
}

function list({ engine }: ApiParts, request: ApiRequest): Reply {
  const old = request.version < 25 ? text(request, "filter") : undefined;
  const filters = {
    ...(old !== undefined && { reference: [old] }),
    ...parseFilters(text(request, "filters"), listFilters),
  };
  if (flag(request, "manifests"))
    throw new Fault(
      "unsupported",
      "listing the manifests of images of several platforms is not supported yet",
    );
  const found = engine.images.list({ all: flag(request, "all"), filters });
  return jsonReply(found.map((image) => imageSummary(image, request.version)));
}

function inspect({ engine }: ApiParts, request: ApiRequest): Reply {
  if (request.version >= 48 && flag(request, "manifests"))
    throw new Fault(
      "unsupported",
      "images of several platforms are not supported yet: ask without manifests",
    );
  if (request.version >= 49 && text(request, "platform") !== undefined)
    throw new Fault("unsupported", "images of several platforms are not supported yet: ask without platform");
  return jsonReply(imageInspect(engine.images.get(param(request, "name")), request.version));
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
        if (removed.some((item) => "deleted" in item)) reclaimed += record.sizeBytes;
      }
    } catch {
      // In use by now, or the parent of another image.
    }
  }
  engine.events.pruned("image", reclaimed);
  return jsonReply({ ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed });
}
