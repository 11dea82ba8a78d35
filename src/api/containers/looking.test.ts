import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { ApiFixture } from "#api/doubles/api-fixture.ts";
import { containerRecord } from "#api/doubles/engine-double.ts";
import type { UsageSample } from "#spec/usage.ts";

let api: ApiFixture;
beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(async () => await api[Symbol.asyncDispose]());
beforeEach(() => {
  api.reset();
  api.engine.records = [containerRecord(1, { name: "web" })];
});

const sample = (total: number): UsageSample => ({
  readAt: `2026-11-26T10:00:0${total}Z`,
  cpu: {
    ...{ total, kernel: 1, user: 2, perCpu: [total, 0], system: 100 * total, online: 2 },
    throttling: { periods: 1, throttled: 0, time: 0 },
  },
  memory: { usage: 10, limit: 100, stats: { rss: 1 } },
  processes: { current: 2, limit: 7 },
  io: { serviceBytes: [{ major: 8, minor: 0, operation: "Read", value: 5 }], serviced: [] },
  networks: {
    eth0: {
      ...{ rxBytes: 1, rxPackets: 2, rxErrors: 3, rxDropped: 4 },
      ...{ txBytes: 5, txPackets: 6, txErrors: 7, txDropped: 8 },
    },
  },
});

test("a single answer has two readings, in Docker's shape", async () => {
  api.engine.samples = [sample(1), sample(2), sample(3)];
  const { status, json } = await api.get("/containers/web/stats?stream=0");
  expect(status).toBe(200);
  expect(json).toMatchObject({
    read: "2026-11-26T10:00:02Z",
    preread: "2026-11-26T10:00:01Z",
    pids_stats: { current: 2, limit: 7 },
    num_procs: 0,
    storage_stats: {},
    cpu_stats: { cpu_usage: { total_usage: 2, percpu_usage: [2, 0] }, system_cpu_usage: 200, online_cpus: 2 },
    precpu_stats: { cpu_usage: { total_usage: 1 }, system_cpu_usage: 100 },
    memory_stats: { usage: 10, limit: 100, stats: { rss: 1 } },
    blkio_stats: {
      io_service_bytes_recursive: [{ major: 8, minor: 0, op: "Read", value: 5 }],
      io_queue_recursive: [],
    },
    name: "/web",
    networks: { eth0: { rx_bytes: 1, tx_dropped: 8 } },
  });
});

test("one shot waits for nothing, from API 1.41 on, and does not stream", async () => {
  api.engine.samples = [sample(1)];
  const { json } = await api.get("/containers/web/stats?stream=0&one-shot=1");
  expect(json).toMatchObject({ read: "2026-11-26T10:00:01Z", preread: "0001-01-01T00:00:00Z" });
  const both = await api.get("/containers/web/stats?one-shot=1");
  expect([both.status, both.json.message]).toEqual([400, "cannot have stream=true and one-shot=true"]);
  expect((await api.get("/v1.40/containers/web/stats?one-shot=1")).status).toBe(200);
});

test("a stream has a line for each reading", async () => {
  api.engine.samples = [sample(1), sample(2)];
  const { body } = await api.get("/containers/web/stats");
  const reads = body.split("\n").filter(Boolean);
  expect(reads.map((line) => JSON.parse(line).cpu_stats.cpu_usage.total_usage)).toEqual([1, 2]);
});

test("a container that does not run has empty figures, version 2 of cgroups no requests", async () => {
  api.engine.samples = [undefined];
  const { json } = await api.get("/containers/web/stats?stream=0");
  expect(json).toMatchObject({
    read: "0001-01-01T00:00:00Z",
    pids_stats: {},
    memory_stats: {},
    blkio_stats: { io_service_bytes_recursive: null, io_queue_recursive: null },
  });
  expect(json).not.toHaveProperty("networks");
  expect(json.cpu_stats).not.toHaveProperty("online_cpus");
});

test("no container, no figures", async () => {
  for (const path of ["stats", "stats?stream=0", "top"]) {
    const { status, json } = await api.get(`/containers/none/${path}`);
    expect([status, json.message]).toEqual([404, "No such container: none"]);
  }
});

test("top hands ps its arguments, -ef when there are none", async () => {
  expect((await api.get("/containers/web/top")).json).toEqual({
    Titles: ["PID", "CMD"],
    Processes: [["1", "sleep 1"]],
  });
  await api.get("/containers/web/top?ps_args=aux");
  expect(api.engine.asked).toEqual([
    ["processes", "-ef"],
    ["processes", "aux"],
  ]);
});

test("disk usage counts shared layers once and tells who uses what", async () => {
  api.engine.volumes_ = [
    { name: "data", driver: "local", created: "", mountpoint: "/v", options: {}, labels: {} },
  ];
  const { json } = await api.get("/system/df");
  expect(json).toMatchObject({
    LayersSize: 7,
    Images: [{ SharedSize: 0, Containers: 1 }],
    Containers: [{ Names: ["/web"], SizeRw: 10, SizeRootFs: 30 }],
    Volumes: [{ Name: "data", UsageData: { RefCount: 0, Size: 11 } }],
    BuildCache: null,
  });
  expect(json).not.toHaveProperty("BuilderSize");
  expect((await api.get("/v1.41/system/df")).json).toHaveProperty("BuilderSize", 0);
});

test("disk usage of one kind only, and of none that is unknown", async () => {
  const { json } = await api.get("/system/df?type=container");
  expect(json).toMatchObject({ LayersSize: 0, Images: null, Volumes: null });
  expect(json.Containers.length).toBe(1);
  const wrong = await api.get("/system/df?type=bogus");
  expect([wrong.status, wrong.json.message]).toEqual([400, "unknown object type: bogus"]);
});
