import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { ApiFixture } from "#api/doubles/api-fixture.ts";
import { containerRecord } from "#api/doubles/engine-double.ts";
import { decodePathStat } from "#spec/docker-archive.ts";

let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => {
  api.reset();
  api.engine.records = [containerRecord(1)];
});

const stat = { name: "f", size: 3, mode: 2 ** 31 + 0o755, mtime: "0001-01-01T00:00:00Z", linkTarget: "" };

test("a path is told of in a header, with and without its archive", async () => {
  for (const method of ["HEAD", "GET"]) {
    const { status, headers, body } = await api.ask(method, "/containers/c1/archive?path=/f");
    expect(status).toBe(200);
    expect(decodePathStat(headers.get("x-docker-container-path-stat") ?? undefined)).toEqual(stat);
    expect(body).toBe(method === "HEAD" ? "" : "tar");
    expect(headers.get("content-type")).toBe(method === "HEAD" ? null : "application/x-tar");
  }
});

test("what is not there, or not said, is an error before anything is sent", async () => {
  for (const method of ["HEAD", "GET"]) {
    expect((await api.ask(method, "/containers/c1/archive?path=/absent")).status).toBe(404);
    expect((await api.ask(method, "/containers/none/archive?path=/f")).status).toBe(404);
    expect((await api.ask(method, "/containers/c1/archive")).status).toBe(400);
  }
  const { json } = await api.get("/containers/c1/archive?path=/absent");
  expect(json).toEqual({ message: "Could not find the file /absent in container c1" });
  expect((await api.ask("PUT", "/containers/c1/archive", "x")).json).toEqual({
    message: "bad parameter: pathcannot be empty",
  });
  expect((await api.get("/containers/none/export")).status).toBe(404);
});

test("an archive is handed on with what it may do", async () => {
  const { status } = await api.ask(
    "PUT",
    "/containers/c1/archive?path=/d&noOverwriteDirNonDir=true&copyUIDGID=1",
    "bytes",
  );
  expect(status).toBe(200);
  expect((await api.ask("PUT", "/containers/c1/archive?path=/d", "")).status).toBe(200);
  expect(api.engine.asked).toEqual([
    ["write", "c1", 5, { path: "/d", keepKinds: true, asUser: true }],
    ["write", "c1", 0, { path: "/d", keepKinds: false, asUser: false }],
  ]);
});

test("changes have Docker's kinds; none are null", async () => {
  expect((await api.get("/containers/c1/changes")).json).toBeNull();
  api.engine.records = [containerRecord(1), containerRecord(2)];
  expect((await api.get("/containers/c1/changes")).json).toEqual([
    { Path: "/a", Kind: 1 },
    { Path: "/", Kind: 0 },
    { Path: "/d", Kind: 2 },
  ]);
});

test("an export is a stream of bytes", async () => {
  const { headers, body } = await api.get("/containers/c1/export");
  expect([headers.get("content-type"), body]).toEqual(["application/octet-stream", "all"]);
});
