/** Saving images and loading what was saved. */

import type { ApiParts } from "#api/api-parts.ts";
import { type ApiRequest, flag, param } from "#api/http/api-request.ts";
import { progressReply } from "#api/http/progress-reply.ts";
import { type Reply, streamReply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { Fault } from "#spec/fault.ts";
import type { Platform } from "#spec/image.ts";
import { parsePlatform } from "#spec/platform.ts";
import { platformText } from "./transfers.ts";

export function imageArchiveRoutes(parts: ApiParts): Route[] {
  return [
    route("GET", "/images/get", (request) => save(parts, request, request.query.getAll("names"))),
    route("GET", "/images/{name}/get", (request) => save(parts, request, [param(request, "name")])),
    route("POST", "/images/load", (request) => load(parts, request)),
  ];
}

/** As many as were asked for, each once. */
function platformsOf(request: ApiRequest): Platform[] {
  if (request.version < 48) return [];
  const given = request.query.getAll("platform").map((each) => platformText(each) ?? "");
  return [...new Set(given)].filter((each) => each !== "").map(parsePlatform);
}

async function save({ engine }: ApiParts, request: ApiRequest, names: readonly string[]): Promise<Reply> {
  const wanted = names.flatMap((each) => each.split(",")).filter((each) => each !== "");
  if (wanted.length === 0) throw new Fault("invalid", "name at least one image to save");
  const { signal } = request;
  const archive = await engine.imageArchives.save(wanted, { signal, platforms: platformsOf(request) });
  return streamReply("application/x-tar", async (sink) => {
    for await (const part of archive) {
      const pace = sink.write(part);
      if (pace !== undefined) await pace;
    }
  });
}

async function load({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const { body, signal } = request;
  const o = { signal, quiet: flag(request, "quiet"), platforms: platformsOf(request) };
  return await progressReply(async (tell) => await engine.imageArchives.load(body, { ...o, tell }));
}
