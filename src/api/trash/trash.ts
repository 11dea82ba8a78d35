/** The trash of volumes: wherry's own. */

import type { ApiParts } from "#api/api-parts.ts";
import type { EngineFace } from "#api/engine-face.ts";
import { type ApiRequest, flag, text } from "#api/http/api-request.ts";
import { jsonReply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { Fault } from "#spec/fault.ts";
import { isTrashId, type TrashedVolume } from "#spec/trash.ts";
import { volumeInspect } from "./volume-wire.ts";

export function trashRoutes({ engine }: ApiParts): Route[] {
  const { volumes } = engine;
  return [
    route("GET", "/trash", async () => jsonReply(await trashed(engine))),
    route("POST", "/trash/restore", (request) => {
      const restored = volumes.undo({ what: text(request, "id"), name: text(request, "name") });
      return jsonReply(restored.map(volumeInspect));
    }),
    route("DELETE", "/trash", async (request) => {
      const ids = request.query.getAll("id");
      const known = new Set(volumes.trash.list().flatMap(({ id, removal }) => [id, removal]));
      const unknown = ids.find((id) => !known.has(id));
      if (unknown !== undefined)
        throw new Fault("not-found", `no removed volume is kept by the id ${unknown}`);
      const wanted = new Set(ids);
      const SpaceReclaimed = await volumes.trash.empty(
        ({ id, removal }) => ids.length === 0 || wanted.has(id) || wanted.has(removal),
      );
      return jsonReply({ SpaceReclaimed });
    }),
  ];
}

/** Newest first. */
export async function trashed({ volumes: { trash } }: EngineFace): Promise<TrashedVolume[]> {
  const found: TrashedVolume[] = [];
  for (const entry of trash.list().toReversed()) {
    const { name, labels, options, created } = entry.volume;
    found.push({
      ...{ Id: entry.id, Removal: entry.removal, Name: name, Labels: labels, Options: options },
      ...{ CreatedAt: created, RemovedAt: entry.removedAt, KeptUntil: trash.keptUntil(entry) },
      Size: await trash.sizeOf(entry),
    });
  }
  return found;
}

/** wherry's own parameters of requests that remove volumes. @throws Fault `invalid`. */
export function removalOptions(request: ApiRequest): {
  readonly now: boolean;
  readonly removal: string | undefined;
} {
  const removal = text(request, "removal");
  if (removal !== undefined && !isTrashId(removal))
    throw new Fault(
      "invalid",
      `bad parameter: removal: want 12 hexadecimal digits, not ${JSON.stringify(removal)}`,
    );
  return { now: flag(request, "now"), removal };
}
