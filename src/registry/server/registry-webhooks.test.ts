import { expect, test } from "bun:test";
import type { RegistryEvent } from "./registry-server.ts";
import { Webhooks } from "./registry-webhooks.ts";

const event: RegistryEvent = {
  action: "push",
  repository: "team/x",
  what: "manifest",
  reference: "v1",
  user: "ann",
};

test("an event is told again until it is heard, in order, and a redirect is no answer", async () => {
  const heard: string[] = [];
  const all = Promise.withResolvers<void>();
  let asked = 0;
  const receiver = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      asked++;
      if (asked === 1) return new Response("not now", { status: 503 });
      if (asked === 2) return Response.redirect("/elsewhere");
      expect(request.headers.get("x-secret")).toBe("s");
      const { reference, repository, user } = (await request.json()) as RegistryEvent;
      heard.push(`${new URL(request.url).pathname} ${repository}:${reference} ${user}`);
      if (heard.length === 2) all.resolve();
      return new Response("ok");
    },
  });
  let lost = 0;
  const hooks = new Webhooks([{ url: `${receiver.url}here`, headers: { "X-Secret": "s" } }], {
    signal: new AbortController().signal,
    lost: () => lost++,
  });
  hooks.tell(event);
  hooks.tell({ ...event, reference: "v2" });
  await all.promise;
  await receiver.stop(true);
  expect([asked, lost, heard]).toEqual([4, 0, ["/here team/x:v1 ann", "/here team/x:v2 ann"]]);
});

test("what nobody hears is counted, and the queue has a bound", () => {
  const ended = new AbortController();
  ended.abort();
  let lost = 0;
  const hooks = new Webhooks([{ url: "http://127.0.0.1:1/" }], { signal: ended.signal, lost: () => lost++ });
  for (let count = 0; count < 1100; count++) hooks.tell(event);
  expect(lost).toBeGreaterThan(90);
});
