/** What running containers do: their usage, their processes. */

import type { ApiParts } from "#api/api-parts.ts";
import { type ApiRequest, flag, param, text } from "#api/http/api-request.ts";
import { jsonReply, type Reply, streamReply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import type { UsageView } from "#api/looking-face.ts";
import type { TopAnswer } from "#spec/docker-stats.ts";
import { Fault } from "#spec/fault.ts";
import { statsAnswer } from "./usage-wire.ts";

export function lookingRoutes(parts: ApiParts): Route[] {
  return [
    route("GET", "/containers/{name}/stats", (request) => stats(parts, request)),
    route("GET", "/containers/{name}/top", (request) => top(parts, request)),
  ];
}

async function stats({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const stream = flag(request, "stream", true);
  const oneShot = request.version >= 41 && flag(request, "one-shot");
  if (stream && oneShot) throw new Fault("invalid", "cannot have stream=true and one-shot=true");
  const name = param(request, "name");
  if (oneShot) return jsonReply(statsAnswer(await engine.looking.usage(name)));
  const views = engine.looking.watchUsage(name, { signal: request.signal });
  if (!stream) return jsonReply(statsAnswer(await withPrevious(views, name)));
  return streamReply("application/json", async (sink) => {
    for await (const view of views) await sink.write(Buffer.from(`${JSON.stringify(statsAnswer(view))}\n`));
  });
}

/** Two readings a second apart, so that there is a difference to see; at once where there is nothing to read. */
async function withPrevious(views: AsyncIterable<UsageView>, name: string): Promise<UsageView> {
  for await (const view of views) if (view.sample === undefined || view.previous !== undefined) return view;
  throw new Fault("not-found", `No such container: ${name}`);
}

async function top({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const args = text(request, "ps_args") ?? "-ef";
  const { titles, processes } = await engine.looking.processes(param(request, "name"), args);
  const answer: TopAnswer = {
    Processes: processes.map((cells) => [...cells]),
    Titles: [...titles],
  };
  return jsonReply(answer);
}
