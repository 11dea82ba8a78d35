import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { ApiFixture } from "#api/doubles/api-fixture.ts";

let api: ApiFixture;
beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(async () => await api[Symbol.asyncDispose]());
beforeEach(() => api.reset());

const record = {
  ...{ id: "abc", parents: [], type: "source.local", description: "local source for context", mutable: true },
  ...{ sizeBytes: 12, createdMs: 1000, usedMs: 2000, uses: 3, inUse: false, shared: false },
};

test("what builds keep is removed by age, size and kind, and counted", async () => {
  api.buildCache = [record];
  const filters = encodeURIComponent(
    JSON.stringify({
      until: { "24h": true },
      type: { regular: true, internal: true },
      inuse: { false: true },
    }),
  );
  const { status, body } = await api.ask(
    "POST",
    `/v1.50/build/prune?all=1&keep-storage=1000&filters=${filters}`,
  );
  expect([status, JSON.parse(body)]).toEqual([200, { CachesDeleted: ["abc"], SpaceReclaimed: 12 }]);
  expect(api.pruned).toEqual([
    {
      all: true,
      keepBytes: 1000,
      keepMs: 24 * 3_600_000,
      filters: ["type==regular,inuse==false", "type==internal,inuse==false"],
    },
  ]);
});

test("nothing is null, and bad filters are refused", async () => {
  expect(JSON.parse((await api.ask("POST", "/build/prune")).body)).toEqual({
    CachesDeleted: null,
    SpaceReclaimed: 0,
  });
  const filters = encodeURIComponent('{"colour":{"blue":true}}');
  expect((await api.ask("POST", `/build/prune?filters=${filters}`)).status).toBe(400);
});

test("system df tells it", async () => {
  api.buildCache = [record];
  const { body } = await api.get("/system/df?type=build-cache");
  expect(JSON.parse(body).BuildCache).toEqual([
    {
      ...{
        ID: "abc",
        Type: "source.local",
        Description: "local source for context",
        InUse: false,
        Shared: false,
      },
      ...{
        Size: 12,
        CreatedAt: "1970-01-01T00:00:01.000Z",
        LastUsedAt: "1970-01-01T00:00:02.000Z",
        UsageCount: 3,
      },
    },
  ]);
});
