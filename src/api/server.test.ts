import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiFixture } from "./doubles/api-fixture.ts";
import { containerRecord } from "./doubles/engine-double.ts";
import { RawClient } from "./doubles/test-client.ts";

let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => api.reset());

describe("every answer", () => {
  test("a ping says who answers", async () => {
    for (const target of ["/_ping", "/v1.22/_ping", "/v1.50/_ping"]) {
      const { status, headers, body } = await api.get(target);
      expect([status, body]).toEqual([200, "OK"]);
      expect(headers.get("api-version")).toBe("1.50");
      expect(headers.get("ostype")).toBe("linux");
      expect(headers.get("docker-experimental")).toBe("false");
      expect(headers.get("builder-version")).toBe("2");
      expect(headers.get("swarm")).toBe("inactive");
      expect(headers.get("server")).toBe("Wherry/0.1.0 (linux)");
    }
    expect((await api.ask("HEAD", "/_ping")).headers.get("swarm")).toBe("inactive");
  });

  test.each([
    ["/v1.99/info", "client version 1.99 is too new. Maximum supported API version is 1.50"],
    ["/v2.0/info", "client version 2.0 is too new. Maximum supported API version is 1.50"],
    [
      "/v1.21/info",
      "client version 1.21 is too old. Minimum supported API version is 1.22, please upgrade your client to a newer version",
    ],
  ])("%s is refused", async (target, message) => {
    const { status, json } = await api.get(target);
    expect([status, json]).toEqual([400, { message }]);
  });

  test.each([
    ["GET", "/nope"],
    ["GET", "/v1.50/nope"],
    ["PUT", "/info"],
    ["POST", "/containers/json"],
    ["GET", "/"],
  ])("%s %s is not found", async (method, target) => {
    const { status, json } = await api.ask(method, target);
    expect([status, json]).toEqual([404, { message: "page not found" }]);
  });

  test("OPTIONS is answered anywhere", async () => {
    expect((await api.ask("OPTIONS", "/v1.40/containers/json")).status).toBe(200);
  });

  test("a path that is not clean is redirected", async () => {
    using client = await RawClient.connect(api.socket);
    client.send("GET /v1.45/../info?x=1 HTTP/1.1\r\n\r\n");
    const head = await client.take("\r\n\r\n");
    expect(head).toStartWith("HTTP/1.1 301 ");
    expect(head).toContain("Location: /info?x=1\r\n");
    client.send("GET /images//json HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(await client.all()).toContain("Location: /images/json\r\n");
  });

  test("a bad escape is refused", async () => {
    using client = await RawClient.connect(api.socket);
    client.send("GET /images/%zz/json HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(await client.all()).toStartWith("HTTP/1.1 400 ");
  });

  test.each([
    ["POST", "/swarm/init", 501, "swarm init"],
    ["GET", "/services", 503, "This node is not a swarm manager."],
    ["GET", "/services/x", 503, "This node is not a swarm manager."],
    ["GET", "/plugins/x/json", 404, 'plugin "x" not found'],
  ])("%s %s: %p, by name", async (method, target, status, message) => {
    const answer = await api.ask(method, target);
    expect(answer.status).toBe(status);
    expect(answer.json.message).toContain(message);
  });

  test("a failure nobody foresaw is 500 without a stack, which goes to the log", async () => {
    api.engine.records = [containerRecord(1, { observed: { startedAt: "2026-11-24T10:00:00Z" } })];
    api.engine.sandboxes = { [containerRecord(1).id]: { ports: [], endpoints: undefined } as never };
    const { status, json } = await api.get("/containers/c1/json");
    expect(status).toBe(500);
    expect(json.message).not.toContain("at ");
    expect(api.logged.join()).toContain("GET /containers/c1/json");
    expect(api.logged.join()).toContain("at ");
  });

  test("version and info have what the docker CLI shows", async () => {
    const version = (await api.get("/version")).json;
    expect(version).toMatchObject({
      Version: "0.1.0",
      ApiVersion: "1.50",
      MinAPIVersion: "1.22",
      Arch: "amd64",
    });
    api.engine.records = [containerRecord(1), containerRecord(2, { observed: { status: "running" } })];
    const info = (await api.get("/info")).json;
    expect(info).toMatchObject({
      Containers: 2,
      ContainersRunning: 1,
      ContainersStopped: 1,
      Images: 1,
      NCPU: 2,
    });
    expect(info.FirewallBackend).toBeDefined();
    const old = (await api.get("/v1.40/info")).json;
    expect(old.FirewallBackend).toBeUndefined();
    expect(old.RuncCommit.Expected).toBe("1.8.1");
    expect(old.BridgeNfIptables).toBe(false);
  });
});
