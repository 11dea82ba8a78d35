import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import type { CgroupLayout } from "./cgroup.ts";
import { groupUsage } from "./cgroup-usage.ts";
import { cpuTime, interfaceUsage } from "./machine-usage.ts";

const root = mkdtempSync(join(tmpdir(), "wherry-usage-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function files(tree: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

test("version 2: one directory has it all", async () => {
  files({
    "v2/g/cpu.stat":
      "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 7\nnr_throttled 2\nthrottled_usec 30\n",
    "v2/g/memory.current": "8192\n",
    "v2/g/memory.max": "65536\n",
    "v2/g/memory.stat":
      "anon 4096\nfile 2048\ninactive_file 1024\nworkingset_refault_anon 3\nworkingset_refault_file 4\nsomething_new 5\n",
    "v2/g/pids.current": "3\n",
    "v2/g/pids.max": "100\n",
    "v2/g/io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n254:1 rbytes=0 wbytes=5\n",
  });
  const layout: CgroupLayout = { kind: "v2", hierarchies: new Map([["unified", join(root, "v2")]]) };
  const usage = await groupUsage(layout, "g");
  expect(usage.cpu).toEqual({
    total: 1_500_000,
    kernel: 500_000,
    user: 1_000_000,
    throttling: { periods: 7, throttled: 2, time: 30_000 },
  });
  expect(usage.memory).toMatchObject({ usage: 8192, limit: 65_536 });
  expect(usage.memory.stats).toMatchObject({
    anon: 4096,
    inactive_file: 1024,
    workingset_refault: 7,
    slab: 0,
  });
  expect(usage.memory.stats).not.toHaveProperty("something_new");
  expect(usage.processes).toEqual({ current: 3, limit: 100 });
  expect(usage.io.serviced).toBeUndefined();
  expect(usage.io.serviceBytes).toEqual([
    { major: 8, minor: 0, operation: "read", value: 10 },
    { major: 8, minor: 0, operation: "write", value: 20 },
    { major: 254, minor: 1, operation: "read", value: 0 },
    { major: 254, minor: 1, operation: "write", value: 5 },
  ]);
});

test("version 2 with few controllers: what is not counted is nothing, no limit is the machine's", async () => {
  files({ "bare/g/cpu.stat": "usage_usec 1\n", "bare/g/memory.max": "max\n", "bare/g/pids.max": "max\n" });
  const layout: CgroupLayout = { kind: "v2", hierarchies: new Map([["unified", join(root, "bare")]]) };
  expect(await groupUsage(layout, "g")).toMatchObject({
    memory: { usage: 0, limit: totalmem() },
    processes: { current: 0, limit: undefined },
    io: { serviceBytes: [] },
  });
});

test("version 1 and hybrid: each controller where it is mounted", async () => {
  files({
    "cpuacct/g/cpuacct.usage": "123456789\n",
    "cpuacct/g/cpuacct.usage_percpu": "100 200 \n",
    "cpuacct/g/cpuacct.stat": "user 3\nsystem 2\n",
    "cpu/g/cpu.stat": "nr_periods 4\nnr_throttled 1\nthrottled_time 99\n",
    "memory/g/memory.stat": "cache 10\nrss 20\ntotal_inactive_file 5\nshmem 1\n",
    "memory/g/memory.usage_in_bytes": "30\n",
    "memory/g/memory.max_usage_in_bytes": "40\n",
    "memory/g/memory.failcnt": "2\n",
    "memory/g/memory.limit_in_bytes": "9223372036854771712\n",
    "pids/g/pids.current": "1\n",
    "pids/g/pids.max": "max\n",
    "blkio/g/blkio.throttle.io_service_bytes_recursive":
      "8:16 Read 512\n8:16 Write 0\n8:16 Total 512\nTotal 512\n",
    "blkio/g/blkio.throttle.io_serviced_recursive": "8:16 Read 1\nTotal 1\n",
  });
  const names = ["cpu", "cpuacct", "memory", "pids", "blkio"];
  const hierarchies = new Map(names.map((name) => [name, join(root, name)]));
  for (const kind of ["v1", "hybrid"] as const)
    expect(await groupUsage({ kind, hierarchies }, "g")).toMatchObject({
      cpu: {
        total: 123_456_789,
        perCpu: [100, 200],
        user: 3e7,
        kernel: 2e7,
        throttling: { periods: 4, throttled: 1, time: 99 },
      },
      memory: { usage: 30, maxUsage: 40, failures: 2, limit: totalmem(), stats: { cache: 10, rss: 20 } },
      processes: { current: 1 },
      io: {
        serviceBytes: [
          { operation: "Read", value: 512 },
          { operation: "Write", value: 0 },
          { operation: "Total", value: 512 },
        ],
        serviced: [{ major: 8, minor: 16, operation: "Read", value: 1 }],
      },
    });
});

test("a group that is gone is told of", async () => {
  const layout: CgroupLayout = { kind: "v2", hierarchies: new Map([["unified", root]]) };
  expect(groupUsage(layout, "none")).rejects.toThrow("ENOENT");
});

test("the machine's CPU time leaves out guests, which are in user time already", async () => {
  files({ stat: "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 0 0\ncpu1 0 0\nintr 5\n" });
  expect(await cpuTime(join(root, "stat"))).toEqual({ system: 28e7, online: 2 });
});

test("interfaces of a process, without the loopback; none when it is gone", async () => {
  files({
    "proc/7/net/dev":
      "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    lo:     9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0:  1110      12    1    2    0     0          0         0      70       3    4    5    0     0       0          0\n",
  });
  expect(await interfaceUsage(7, join(root, "proc"))).toEqual({
    eth0: {
      ...{ rxBytes: 1110, rxPackets: 12, rxErrors: 1, rxDropped: 2 },
      ...{ txBytes: 70, txPackets: 3, txErrors: 4, txDropped: 5 },
    },
  });
  expect(await interfaceUsage(8, join(root, "proc"))).toEqual({});
});
