/** `POST /system/check`: wherry's own; findings as they come, one JSON object a line. */
import type { ApiParts } from "#api/api-parts.ts";
import { flag } from "#api/http/api-request.ts";
import { streamReply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";

export function systemCheckRoutes({ engine }: ApiParts): Route[] {
  return [
    route("POST", "/system/check", async (request) => {
      const { signal } = request;
      const lines = engine.check.run({ repair: flag(request, "repair"), signal })[Symbol.asyncIterator]();
      // A refusal becomes the status.
      const first = await lines.next();
      return streamReply("application/json", async (sink) => {
        for (let line = first; line.done !== true; line = await lines.next()) {
          const pace = sink.write(Buffer.from(`${JSON.stringify(line.value)}\n`));
          if (pace !== undefined) await pace;
        }
      });
    }),
  ];
}
