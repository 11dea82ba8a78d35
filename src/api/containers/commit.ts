/** Images made of what is here: of a container, and of an image's layers put into one. */

import type { ApiParts } from "#api/api-parts.ts";
import { type ApiRequest, flag, json, param, text } from "#api/http/api-request.ts";
import { jsonReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { repositoryTag } from "#api/images/images.ts";
import { commitBody } from "#spec/docker-create.ts";
import type { IdAnswer } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { familiarReference, parseReference, withDefaultTag } from "#spec/reference.ts";

export function commitRoutes(parts: ApiParts): Route[] {
  return [
    route("POST", "/commit", (request) => commit(parts, request)),
    // Of wherry's own; dockerd knows it only as an option of a build.
    route("POST", "/images/{name}/squash", (request) => squash(parts, request)),
  ];
}

async function commit({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const config = (await json(request, commitBody)) ?? {};
  const id = await engine.commits.commit(text(request, "container") ?? "", {
    ...(Object.keys(config).length > 0 && { config }),
    changes: request.query.getAll("changes").filter((change) => change !== ""),
    author: text(request, "author") ?? "",
    comment: text(request, "comment") ?? "",
    pause: text(request, "pause") === undefined || flag(request, "pause"),
    name: repositoryTag(request),
    signal: request.lifetime,
  });
  return answer(id);
}

async function squash({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const name = text(request, "t");
  const parsed = name === undefined ? undefined : withDefaultTag(parseReference(name));
  if (parsed?.digest !== undefined)
    throw new Fault("invalid", "refusing to create a tag with a digest reference");
  const id = await engine.commits.squash(param(request, "name"), {
    ...(parsed !== undefined && { name: familiarReference(parsed) }),
    signal: request.lifetime,
  });
  return answer(id);
}

function answer(id: string): Reply {
  const body: IdAnswer = { Id: id };
  return jsonReply(body, 201);
}
