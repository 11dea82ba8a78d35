import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OciResources } from "#spec/oci-runtime.ts";
import type { CgroupLayout } from "./cgroup.ts";
import { machineLimits } from "./cgroup-controls.ts";
import { cpuWeight, limitWrites, writeLimits } from "./cgroup-limits.ts";
import { grantRealtime } from "./cgroup-realtime.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** A tree of files, each with a text. */
function tree(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "wherry-cgroup-"));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const everything: OciResources = {
  memory: { limit: 100, swap: 300, reservation: 50, swappiness: 10, disableOOMKiller: true },
  cpu: { shares: 1024, quota: 50_000, period: 100_000, cpus: "0-1", mems: "0" },
  pids: { limit: 7 },
  blockIO: {
    weight: 300,
    weightDevice: [{ major: 8, minor: 0, weight: 200 }],
    throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1000 }],
    throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 5 }],
  },
};

const lines = (kind: "v1" | "v2", resources: OciResources) =>
  limitWrites(kind, resources).map(({ controller, file, value }) => `${controller} ${file} ${value}`);

describe("what is written where", () => {
  test("version 1", () => {
    expect(lines("v1", everything)).toEqual([
      "memory memory.limit_in_bytes 100",
      "memory memory.memsw.limit_in_bytes 300",
      "memory memory.soft_limit_in_bytes 50",
      "memory memory.swappiness 10",
      "memory memory.oom_control 1",
      "cpu cpu.shares 1024",
      "cpu cpu.cfs_period_us 100000",
      "cpu cpu.cfs_quota_us 50000",
      "cpuset cpuset.cpus 0-1",
      "cpuset cpuset.mems 0",
      "pids pids.max 7",
      "blkio blkio.weight 300",
      "blkio blkio.weight_device 8:0 200",
      "blkio blkio.throttle.read_bps_device 8:0 1000",
      "blkio blkio.throttle.write_iops_device 8:16 5",
    ]);
  });

  test("version 2: swap without the memory, weights on its own scale", () => {
    expect(lines("v2", everything)).toEqual([
      "memory memory.max 100",
      "memory memory.swap.max 200",
      "memory memory.low 50",
      "cpu cpu.weight 39",
      "cpu cpu.max 50000 100000",
      "cpuset cpuset.cpus 0-1",
      "cpuset cpuset.mems 0",
      "pids pids.max 7",
      "io io.bfq.weight 300",
      "io io.bfq.weight 8:0 200",
      "io io.max 8:0 rbps=1000",
      "io io.max 8:16 wiops=5",
    ]);
  });

  test("no limit", () => {
    const none: OciResources = { memory: { swap: -1 }, cpu: { quota: -1 }, pids: { limit: -1 } };
    expect(lines("v2", none)).toEqual([
      "memory memory.swap.max max",
      "cpu cpu.max max 100000",
      "pids pids.max max",
    ]);
    expect(lines("v1", none)).toEqual([
      "memory memory.memsw.limit_in_bytes -1",
      "cpu cpu.cfs_quota_us -1",
      "pids pids.max max",
    ]);
  });

  test("weights at the ends of their scales", () => {
    expect([0, 2, 1024, 262_144, 1e9].map(cpuWeight)).toEqual([1, 1, 39, 10_000, 10_000]);
  });
});

describe("writing", () => {
  test("version 2: io.weight where BFQ is not there", async () => {
    const root = tree({ "g/io.weight": "", "g/io.max": "", "g/pids.max": "" });
    const layout: CgroupLayout = { kind: "v2", hierarchies: new Map([["unified", root]]) };
    await writeLimits(layout, "g", limitWrites("v2", { pids: { limit: 3 }, blockIO: { weight: 1000 } }));
    expect(readFileSync(join(root, "g/io.weight"), "utf8")).toBe("default 10000");
    expect(readFileSync(join(root, "g/pids.max"), "utf8")).toBe("3");
  });

  test("version 1: BFQ's own name for weights", async () => {
    const root = tree({ "g/blkio.bfq.weight": "" });
    const layout: CgroupLayout = { kind: "v1", hierarchies: new Map([["blkio", root]]) };
    await writeLimits(layout, "g", limitWrites("v1", { blockIO: { weight: 20 } }));
    expect(readFileSync(join(root, "g/blkio.bfq.weight"), "utf8")).toBe("20");
  });

  test("a file that is not there is no limit, and no file is made", async () => {
    const root = tree({ "g/tasks": "" });
    const layout: CgroupLayout = { kind: "v1", hierarchies: new Map([["pids", root]]) };
    const writing = writeLimits(layout, "g", limitWrites("v1", { pids: { limit: 1 } }));
    expect(writing).rejects.toThrow("pids.max");
    await writing.catch(() => undefined);
  });

  test("real-time time comes out of the parent's, with what its other children have", async () => {
    const group = (runtime: number) => ({ runtime: `${runtime}`, period: "1000000" });
    const root = tree({
      "cpu.rt_runtime_us": "950000",
      "p/cpu.rt_runtime_us": group(0).runtime,
      "p/cpu.rt_period_us": group(0).period,
      "p/other/cpu.rt_runtime_us": group(100_000).runtime,
      "p/other/cpu.rt_period_us": group(0).period,
      "p/own/cpu.rt_runtime_us": group(0).runtime,
      "p/own/cpu.rt_period_us": group(0).period,
    });
    const layout: CgroupLayout = { kind: "v1", hierarchies: new Map([["cpu", root]]) };
    await grantRealtime(layout, "p/own", { runtime: 50_000, period: 500_000 });
    expect(readFileSync(join(root, "p/cpu.rt_runtime_us"), "utf8")).toBe("200000");
    expect(readFileSync(join(root, "p/own/cpu.rt_runtime_us"), "utf8")).toBe("50000");
    expect(readFileSync(join(root, "p/own/cpu.rt_period_us"), "utf8")).toBe("500000");
  });
});

describe("what a machine can limit", () => {
  test("version 2", () => {
    const root = tree({
      "cg/cgroup.controllers": "cpuset cpu io memory pids\n",
      "cg/cpuset.cpus.effective": "0-3\n",
      "cg/cpuset.mems.effective": "0\n",
      "cg/system.slice/memory.swap.max": "max",
      "proc/self/cgroup": "0::/system.slice\n",
      "proc/self/ns/cgroup": "",
    });
    const layout: CgroupLayout = { kind: "v2", hierarchies: new Map([["unified", join(root, "cg")]]) };
    expect(machineLimits(layout, join(root, "proc"))).toEqual({
      ...{
        memory: true,
        memoryReservation: true,
        memorySwappiness: false,
        swap: true,
        oomKillDisable: false,
      },
      ...{ cpuShares: true, cpuQuota: true, cpuRealtime: false, cpuset: true, cpus: "0-3", memoryNodes: "0" },
      ...{
        pids: true,
        blkioWeight: true,
        blkioThrottle: true,
        cgroupNamespaces: true,
      },
    });
  });

  test("version 1 without swap accounting and real-time groups", () => {
    const root = tree({
      "memory/memory.soft_limit_in_bytes": "",
      "memory/memory.swappiness": "",
      "cpu/cpu.shares": "",
      "cpuset/cpuset.cpus": "0\n",
      "blkio/blkio.throttle.read_bps_device": "",
    });
    const hierarchies = new Map(["memory", "cpu", "cpuset", "blkio"].map((name) => [name, join(root, name)]));
    const found = machineLimits({ kind: "v1", hierarchies }, join(root, "proc"));
    expect(found).toMatchObject({ memory: true, swap: false, memorySwappiness: true, oomKillDisable: false });
    expect(found).toMatchObject({
      cpuShares: true,
      cpuQuota: false,
      cpuRealtime: false,
      cpus: "0",
      pids: false,
    });
    expect(found).toMatchObject({ blkioWeight: false, blkioThrottle: true });
  });
});
