import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiFixture } from "#api/doubles/api-fixture.ts";
import { RawClient } from "#api/doubles/test-client.ts";

let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => api.reset());

describe("events", () => {
  const event = (timeNano: bigint, action: string, type: "container" | "image" = "container") => ({
    type,
    action,
    actor: { id: "abc", attributes: { name: "c1", image: "busybox" } },
    timeNano,
  });

  test("of the past, with all digits of their time", async () => {
    api.engine.past = [
      event(1_700_000_000_123_456_789n, "create"),
      event(1_700_000_001_000_000_000n, "start"),
    ];
    const { body } = await api.get("/events?since=1&until=1700000002");
    const [first] = body.split("\n");
    expect(first).toBe(
      '{"status":"create","id":"abc","from":"busybox","Type":"container","Action":"create","Actor":{"ID":"abc","Attributes":{"name":"c1","image":"busybox"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}',
    );
    const filters = encodeURIComponent('{"event":["start"],"container":["c1"]}');
    expect((await api.get(`/events?since=1&until=1700000002&filters=${filters}`)).body).toContain(
      '"Action":"start"',
    );
    expect((await api.get(`/events?since=1&until=1700000002&filters=${filters}`)).body).not.toContain(
      '"Action":"create"',
    );
  });

  test("as they come, the head at once, until the client leaves", async () => {
    using client = await RawClient.connect(api.socket);
    client.send("GET /v1.45/events HTTP/1.1\r\n\r\n");
    await client.take("\r\n\r\n");
    api.engine.emit(event(5n, "die"));
    expect(await client.take('"timeNano":5}')).toContain('"Action":"die"');
  });

  test("old clients are not told of images being made", async () => {
    api.engine.past = [event(1_700_000_000_000_000_000n, "create", "image")];
    expect((await api.get("/v1.45/events?since=1&until=1700000002")).body).toBe("");
    expect((await api.get("/v1.46/events?since=1&until=1700000002")).body).not.toBe("");
  });

  test("until a moment to come", async () => {
    const until = Date.now() / 1000 + 0.1;
    expect((await api.get(`/events?until=${until.toFixed(3)}`)).body).toBe("");
  });
});
