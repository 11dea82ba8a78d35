/** Clearing of what builds keep, as `docker system prune` and clients without buildx ask for it. */

import type { ApiParts } from "#api/api-parts.ts";
import { type ApiRequest, flag, integer } from "#api/http/api-request.ts";
import { jsonReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { Fault } from "#spec/fault.ts";
import { parseFilters } from "#spec/filters.ts";
import { goDurationOrNone } from "#spec/go-duration.ts";

const keys = ["until", "unused-for", "id", "parent", "type", "description", "inuse", "shared", "private"];

export function buildPruneRoutes(parts: ApiParts): Route[] {
  return [route("POST", "/build/prune", (request) => prune(parts, request))];
}

/** @throws Fault `invalid` for filters and sizes that are none. */
async function prune({ buildkit }: ApiParts, request: ApiRequest): Promise<Reply> {
  const filters = parseFilters(request.query.get("filters") ?? undefined, keys);
  const ages = [...(filters["until"] ?? []), ...(filters["unused-for"] ?? [])];
  if (ages.length > 1) throw new Fault("invalid", "more than one until filter specified");
  const order = {
    filters: conditions(filters),
    all: flag(request, "all"),
    keepBytes:
      integer(request, "max-used-space") ??
      integer(request, "reserved-space") ??
      integer(request, "keep-storage") ??
      0,
    keepMs: ages[0] === undefined ? 0 : ageMs(ages[0]),
  };
  const ids: string[] = [];
  let freedBytes = 0;
  // What was begun is finished without the client.
  for await (const { id, sizeBytes } of buildkit.prune(order, request.lifetime)) {
    ids.push(id);
    freedBytes += sizeBytes;
  }
  return jsonReply({ CachesDeleted: ids.length === 0 ? null : ids, SpaceReclaimed: freedBytes });
}

function ageMs(text: string): number {
  const nanoseconds = goDurationOrNone(text);
  if (nanoseconds === undefined)
    throw new Fault("invalid", `${JSON.stringify(text)} is no duration: want one like 24h`);
  return nanoseconds / 1e6;
}

/** BuildKit's filters: one text whose conditions all hold, for each value of the first key with several. */
function conditions(filters: Readonly<Record<string, readonly string[] | undefined>>): string[] {
  let texts = [""];
  for (const key of keys.slice(2)) {
    const values = filters[key];
    if (values === undefined || values.length === 0) continue;
    texts = texts.flatMap((text) => values.map((value) => `${text},${condition(key, value)}`));
  }
  return texts.filter((text) => text !== "").map((text) => text.slice(1));
}

function condition(key: string, value: string): string {
  if (key === "inuse" || key === "shared" || key === "private")
    return ["", "1", "true"].includes(value) ? key : `${key}==false`;
  return key === "description" || key === "id"
    ? `${key}~=${value.replace(/[^\w-]/g, "\\$&")}`
    : `${key}==${value}`;
}
