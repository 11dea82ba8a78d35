import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiFixture } from "#api/doubles/api-fixture.ts";
import { RawClient } from "#api/doubles/test-client.ts";
import type { ClassicRequest } from "#build/builder.ts";
import type { PostedOrder } from "#buildkit/posted-build.ts";
import { Fault } from "#spec/fault.ts";

let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => api.reset());

describe("build", () => {
  test("parameters reach the builder, messages come as lines", async () => {
    let seen: ClassicRequest | undefined;
    let context = 0;
    api.build = async function* (request) {
      seen = request;
      for await (const chunk of request.context) context += chunk.length;
      yield { stream: "Step 1/1 : FROM scratch\n" };
      yield { aux: { ID: "sha256:1" } };
      yield { errorDetail: { code: 3, message: "no" }, error: "no" };
    };
    const query = new URLSearchParams({
      dockerfile: "D",
      buildargs: '{"A":"1","B":null}',
      labels: '{"l":"v"}',
      nocache: "1",
      rm: "1",
      memory: "0",
      cpuquota: "5000",
      networkmode: "default",
      target: "t",
      ulimits: "null",
      cachefrom: '["c:1","d"]',
      version: "1",
    });
    query.append("t", "a:1");
    query.append("t", "b");
    const answer = await api.ask("POST", `/v1.45/build?${query}`, "tar".repeat(100_000), {
      "X-Registry-Config": "e30=",
      "Content-Type": "application/x-tar",
    });
    expect(answer.status).toBe(200);
    expect(answer.body.split("\r\n")).toEqual([
      '{"stream":"Step 1/1 : FROM scratch\\n"}',
      '{"aux":{"ID":"sha256:1"}}',
      '{"errorDetail":{"code":3,"message":"no"},"error":"no"}',
      "",
    ]);
    expect(context).toBe(300_000);
    expect(seen).toMatchObject({
      dockerfile: "D",
      tags: ["a:1", "b"],
      buildArgs: { A: "1", B: null },
      labels: { l: "v" },
      noCache: true,
      cacheFrom: ["c:1", "d"],
      remove: true,
      target: "t",
      networkMode: undefined,
      host: { CpuQuota: 5000 },
    });
  });

  test("what is wrong before the first message is a status; what breaks later is a message", async () => {
    // biome-ignore lint/correctness/useYield: it fails first
    api.build = async function* () {
      throw new Fault("invalid", "Dockerfile parse error on line 2: unknown instruction: FORM");
    };
    const early = await api.post("/build");
    expect([early.status, early.json.message]).toEqual([400, expect.stringContaining("line 2")]);
    api.build = async function* () {
      yield { stream: "begun" };
      throw new Fault("internal", "the disk is full");
    };
    expect((await api.post("/build")).body).toContain(
      '{"errorDetail":{"message":"the disk is full"},"error":"the disk is full"}',
    );
  });

  test.each([
    ["?buildargs=x", 400, "error reading build args"],
    ["?labels=%7B%22a%22:1%7D", 400, "error reading labels"],
    ["?version=3", 400, 'invalid version "3"'],
    ["?cachefrom=x", 400, "error reading cache-from"],
    ["?outputs=x", 400, "invalid outputs specified"],
    ["?outputs=%5B%7B%22Type%22%3A%22local%22%7D%5D", 400, "version=2"],
    ["?isolation=hyperv", 400, "unsupported isolation"],
    ["/cancel", 400, "build ID not provided"],
    ["?squash=1", 400, "experimental"],
    ["?securityopt=x", 400, "security options"],
    ["?memory=lots", 400, "invalid value"],
  ])("%s is refused", async (query, status, message) => {
    const answer = await api.post(`/build${query}`);
    expect([answer.status, answer.json.message]).toEqual([status, expect.stringContaining(message)]);
  });

  test("version 2 is BuildKit's, in its words", async () => {
    let seen: PostedOrder | undefined;
    api.post2 = async function* (order) {
      seen = order;
      yield { trace: Buffer.from([1, 2]) };
      yield { image: "sha256:1" };
    };
    const query = new URLSearchParams({
      ...{ version: "2", session: "s", buildid: "b", remote: "client-session", dockerfile: "D" },
      ...{ buildargs: '{"A":"1","B":null,"BUILDKIT_INLINE_CACHE":"1"}', labels: '{"l":"v"}', nocache: "1" },
      ...{ networkmode: "host", shmsize: "65536", cpusetcpus: "0", target: "t", platform: "linux/amd64" },
      ...{ extrahosts: "a:1.2.3.4", ulimits: '[{"Name":"nofile","Soft":1,"Hard":2}]', pull: "1", t: "x" },
      cachefrom: '["c"]',
    });
    const { status, body } = await api.ask("POST", `/v1.41/build?${query}`);
    expect([status, body.split("\r\n")]).toEqual([
      200,
      ['{"id":"moby.buildkit.trace","aux":"AQI="}', '{"id":"moby.image.id","aux":{"ID":"sha256:1"}}', ""],
    ]);
    expect(seen).toMatchObject({
      ...{ session: "s", buildId: "b", remote: "client-session", entitlements: ["network.host"] },
      inlineCache: true,
      exporters: [{ Type: "moby", Attrs: { name: "x" } }],
      options: {
        ...{ filename: "D", "build-arg:A": "1", "label:l": "v", "no-cache": "", target: "t" },
        ...{ "shm-size": "65536", cpusetcpus: "0", platform: "linux/amd64", "image-resolve-mode": "pull" },
        ...{
          "add-hosts": "a=1.2.3.4",
          ulimit: "nofile=1:2",
          "force-network-mode": "host",
          "cache-from": "c",
        },
      },
    });
    expect(Object.keys(seen?.options ?? {})).not.toContain("build-arg:B");
    expect((await api.ask("POST", `/build?${query}&q=1`)).body).toBe('{"stream":"sha256:1\\n"}\r\n');
    await api.ask("POST", "/build/cancel?id=b");
    expect(api.cancelled).toEqual(["b"]);
  });

  test("a client that leaves cancels its build", async () => {
    const cancelled = Promise.withResolvers<void>();
    api.build = async function* ({ signal }) {
      yield { stream: "begun" };
      signal.addEventListener("abort", () => cancelled.resolve());
      await cancelled.promise;
      throw new Fault("cancelled", "gone");
    };
    const client = await RawClient.connect(api.socket);
    client.send("POST /build HTTP/1.1\r\n\r\n");
    await client.take("begun");
    client.socket.destroy();
    await cancelled.promise;
  });
});
