import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiFixture } from "#api/doubles/api-fixture.ts";
import { containerRecord, imageDetail } from "#api/doubles/engine-double.ts";

let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => api.reset());

describe("images", () => {
  test("names with slashes, ports and tags are one name", async () => {
    for (const name of ["a/b/c:1", "host:5000/a/b@sha256:0", "json/json", "history"])
      await api.get(`/images/${name}/json`);
    await api.get("/images/a%2Fb/json");
    expect(api.engine.asked.map(([, ref]) => ref)).toEqual([
      "a/b/c:1",
      "host:5000/a/b@sha256:0",
      "json/json",
      "history",
      "a/b",
    ]);
  });

  test("are listed and inspected for the version asked", async () => {
    const [entry] = (await api.get("/images/json")).json;
    expect(entry).toMatchObject({
      RepoTags: ["busybox:latest"],
      Created: 1795510800,
      Size: 1234,
      SharedSize: -1,
    });
    expect(entry.RepoDigests).toHaveLength(1);
    expect(entry.VirtualSize).toBeUndefined();
    expect((await api.get("/v1.43/images/json")).json[0].VirtualSize).toBe(1234);
    api.engine.images_ = [{ ...imageDetail, references: [] }];
    expect((await api.get("/v1.42/images/json")).json[0].RepoTags).toEqual(["<none>:<none>"]);
    expect((await api.get("/images/json")).json[0].RepoTags).toEqual([]);
    const inspect = (await api.get("/images/busybox/json")).json;
    expect(inspect.Config.Hostname).toBeUndefined();
    expect((await api.get("/v1.49/images/busybox/json")).json.Config.Hostname).toBe("");
    expect((await api.get("/v1.44/images/busybox/json")).json.ContainerConfig).toBeDefined();
  });

  test("history, tag, remove", async () => {
    expect((await api.get("/images/busybox/history")).json[1]).toMatchObject({
      Id: "<missing>",
      Tags: null,
      Size: 7,
    });
    expect((await api.post("/images/busybox/tag?repo=other/x&tag=v2")).status).toBe(201);
    expect((await api.post("/images/busybox/tag?repo=UPPER")).json.message).toContain("must be lowercase");
    expect((await api.ask("DELETE", "/images/a/b:c?force=1")).json).toEqual([
      { Untagged: "busybox:latest" },
      { Deleted: expect.any(String) },
    ]);
    expect(api.engine.asked).toEqual([
      ["tag", "busybox", "other/x:v2"],
      ["rmi", "a/b:c", { force: true, noPrune: false }],
    ]);
  });

  test("import streams its body to the engine", async () => {
    const target = "/images/create?fromSrc=-&repo=base&tag=1&changes=CMD%20sh&changes=ENV%20a%3Db";
    expect((await api.ask("POST", target, "x".repeat(500_000))).json).toEqual({
      status: imageDetail.record.id,
    });
    expect(api.engine.asked).toEqual([
      ["import", 500_000, "base:1", ["CMD sh", "ENV a=b"], "Imported from -"],
    ]);
  });

  test("prune spares what has a name or a container", async () => {
    expect((await api.post("/images/prune")).json.ImagesDeleted).toBeNull();
    const filters = encodeURIComponent('{"dangling":["false"]}');
    expect((await api.post(`/images/prune?filters=${filters}`)).json.SpaceReclaimed).toBe(2468);
    api.engine.records = [containerRecord(1)];
    expect((await api.post(`/images/prune?filters=${filters}`)).json.ImagesDeleted).toBeNull();
  });

  test("say what they share, what else their names stand for, and why the store has what it has", async () => {
    const [entry] = (await api.get("/images/json?shared-size=1&manifests=1")).json;
    expect(entry).toMatchObject({
      SharedSize: 3,
      Manifests: [{ Kind: "image", ImageData: { Platform: { architecture: "arm64" }, Containers: ["c"] } }],
    });
    const inspected = (await api.get("/images/busybox/json?manifests=1&platform=linux/arm64")).json;
    expect(inspected.Descriptor.size).toBe(7);
    expect(inspected.Manifests).toHaveLength(1);
    expect((await api.get("/v1.47/images/busybox/json?manifests=1")).json.Manifests).toBeUndefined();
    expect((await api.get("/blobs")).json).toEqual([
      { Digest: imageDetail.record.id, Size: 7, Reasons: ["config of a:1"] },
    ]);
  });

  test("are listed by age", async () => {
    const until = async (time: string) =>
      (await api.get(`/images/json?filters=${encodeURIComponent(JSON.stringify({ until: [time] }))}`)).json
        .length;
    expect([
      await until("2000-01-01T00:00:00Z"),
      await until("2100-01-01T00:00:00Z"),
      await until("0s"),
    ]).toEqual([0, 1, 1]);
  });
});
