import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiFixture } from "#api/doubles/api-fixture.ts";
import { imageDetail } from "#api/doubles/engine-double.ts";
import { Fault } from "#spec/fault.ts";

let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => {
  api.reset();
  api.engine.transfer = async () => undefined;
});

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const lines = (body: string) =>
  body
    .trim()
    .split("\r\n")
    .map((line) => JSON.parse(line));

describe("a pull", () => {
  test("hands on who asks, and tells how it goes, in Docker's order of fields", async () => {
    api.engine.transfer = async (tell) => {
      tell({ status: "Pulling from a", id: "1" });
      tell({ status: "Downloading", progressDetail: { current: 19_968, total: 1_985_502 }, id: "abc" });
    };
    const target = "/images/create?fromImage=host:5000/a&tag=1&platform=linux/arm64";
    const auth = { "X-Registry-Auth": encoded({ username: "u", password: "p", serveraddress: "host:5000" }) };
    const { status, body } = await api.ask("POST", target, undefined, auth);
    expect(status).toBe(200);
    expect(body).toBe(
      `{"status":"Pulling from a","id":"1"}\r\n{"status":"Downloading","progressDetail":{"current":19968,"total":1985502},"progress":"[>${" ".repeat(50)}]  19.97kB/1.986MB","id":"abc"}\r\n`,
    );
    expect(api.engine.asked).toEqual([
      [
        "pull",
        {
          name: "host:5000/a",
          tag: "1",
          platform: "linux/arm64",
          credentials: { username: "u", password: "p" },
        },
      ],
    ]);
  });

  test("that fails at once has a status, later a last line", async () => {
    api.engine.transfer = async () => {
      throw new Fault("not-found", "manifest unknown");
    };
    expect(await api.post("/images/create?fromImage=a&tag=1")).toMatchObject({
      status: 404,
      json: { message: "manifest unknown" },
    });
    api.engine.transfer = async (tell) => {
      tell({ status: "Pulling from a" });
      await Bun.sleep(1);
      throw new Fault("invalid", "broken");
    };
    const { status, body } = await api.post("/images/create?fromImage=a&tag=1");
    expect([status, lines(body).at(-1)]).toEqual([
      200,
      { errorDetail: { message: "broken" }, error: "broken" },
    ]);
  });

  test.each(["!", Buffer.from("[]").toString("base64url"), "x".repeat(70_000)])(
    "with credentials that are none is refused without repeating them",
    async (header) => {
      const auth = { "X-Registry-Auth": header };
      const { status, body } = await api.ask("POST", "/images/create?fromImage=a&tag=1", undefined, auth);
      if (status !== 431) expect([status, body]).toEqual([400, expect.stringContaining("X-Registry-Auth")]);
      expect(api.engine.asked).toEqual([]);
    },
  );
});

test("push, with a platform in either form", async () => {
  const platform = encodeURIComponent('{"os":"linux","architecture":"arm","variant":"v7"}');
  await api.ask("POST", `/images/host:5000/a/b/push?tag=1&platform=${platform}`, undefined, {
    "X-Registry-Auth": encoded({ identitytoken: "t" }),
  });
  expect(api.engine.asked).toEqual([
    [
      "push",
      { name: "host:5000/a/b", tag: "1", platform: "linux/arm/v7", credentials: { identityToken: "t" } },
    ],
  ]);
});

test("what a registry has", async () => {
  expect((await api.get("/distribution/host:5000/a/b:1/json")).json).toEqual({
    Descriptor: { mediaType: "m", digest: imageDetail.record.id, size: 7 },
    Platforms: [{ os: "linux", architecture: "amd64" }],
  });
  expect((await api.get("/distribution/a/json?manifest=1")).json.Manifest).toBe("{}");
});

test("signing in", async () => {
  const ask = async (password: string) =>
    await api.post("/auth", { username: "u", password, serveraddress: "https://index.docker.io/v1/" });
  expect(await ask("right")).toMatchObject({ status: 200, json: { Status: "Login Succeeded" } });
  expect((await ask("wrong")).status).toBe(401);
  expect(api.logged).toEqual([]);
});

test("searching", async () => {
  expect((await api.get("/images/search?term=x&limit=3")).json).toHaveLength(2);
  const filters = encodeURIComponent('{"stars":["5"],"is-official":["true"]}');
  expect((await api.get(`/images/search?term=x&filters=${filters}`)).json).toEqual([
    { star_count: 9, is_official: true, name: "a", is_automated: false, description: "first" },
  ]);
  expect((await api.get("/images/search?term=x&limit=1000")).status).toBe(400);
});

test("saving and loading", async () => {
  const platforms = ["arm64", "amd64", "arm64"]
    .map((architecture) => `&platform=${encodeURIComponent(JSON.stringify({ os: "linux", architecture }))}`)
    .join("");
  expect((await api.get(`/images/get?names=a&names=b:1${platforms}`)).body).toBe("archive");
  expect((await api.get("/images/host:5000/a/b/get")).body).toBe("archive");
  expect((await api.get("/images/get")).status).toBe(400);
  api.engine.transfer = async (tell) => tell({ stream: "Loaded image: a:1\n" });
  expect((await api.ask("POST", "/images/load?quiet=1", "x".repeat(300_000))).body).toBe(
    '{"stream":"Loaded image: a:1\\n"}\r\n',
  );
  expect(api.engine.asked).toEqual([
    ["save", ["a", "b:1"], { os: "linux", architecture: "arm64" }, { os: "linux", architecture: "amd64" }],
    ["save", ["host:5000/a/b"]],
    ["load", 300_000, true],
  ]);
});
