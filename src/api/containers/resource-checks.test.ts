import { describe, expect, test } from "bun:test";
import type { HostConfig } from "#spec/container.ts";
import type { MachineLimits } from "#spec/machine-limits.ts";
import { checkResources } from "./resource-checks.ts";

const all: MachineLimits = {
  ...{ memory: true, memoryReservation: true, memorySwappiness: true, swap: true, oomKillDisable: true },
  ...{ cpuShares: true, cpuQuota: true, cpuRealtime: true, cpuset: true, cpus: "0-3,8", memoryNodes: "0" },
  ...{ pids: true, blkioWeight: true, blkioThrottle: true, cgroupNamespaces: true },
};
const none = Object.fromEntries(
  Object.entries(all).map(([name, value]) => [name, typeof value === "string" ? "" : false]),
) as unknown as MachineLimits;
const mib = 1024 * 1024;
const check = (host: HostConfig, limits = all, update = false) =>
  checkResources(host, { limits, cpus: 4 }, { update });

describe("what a machine cannot limit is left out, with dockerd's warning", () => {
  const throttle = [{ Path: "/dev/vda", Rate: 1 }];
  test.each([
    ["memory", { Memory: 64 * mib }, { Memory: 0, MemorySwap: -1 }, "memory limit capabilities"],
    [
      "reservation",
      { MemoryReservation: 64 * mib },
      { MemoryReservation: 0 },
      "memory soft limit capabilities",
    ],
    ["swappiness", { MemorySwappiness: 5 }, {}, "memory swappiness capabilities"],
    ["the killer", { OomKillDisable: true }, {}, "OomKillDisable. OomKillDisable discarded."],
    ["processes", { PidsLimit: 5 }, {}, "PIDs limit capabilities"],
    ["shares", { CpuShares: 5 }, { CpuShares: 0 }, "CPU shares or"],
    ["quota", { CpuQuota: 5000 }, { CpuPeriod: 0, CpuQuota: 0 }, "CPU CFS scheduler. CPU period/quota"],
    ["cpuset", { CpusetCpus: "0" }, { CpusetCpus: "", CpusetMems: "" }, "cpuset or the cgroup"],
    ["weight", { BlkioWeight: 100 }, { BlkioWeight: 0 }, "Block I/O weight or"],
    ["rates", { BlkioDeviceWriteBps: throttle }, { BlkioDeviceWriteBps: [] }, "BPS Block I/O write limit"],
  ] as [string, HostConfig, HostConfig, string][])("%s", (_what, host, left, warning) => {
    const seen = check(host, none);
    expect(seen.host).toEqual(left);
    expect(seen.warnings.join("\n")).toContain(`Your kernel does not support ${warning}`);
    expect(check(host)).toEqual({ host, warnings: expect.any(Array) });
  });

  test("memory without swap accounting is limited without swap", () => {
    const seen = check({ Memory: 64 * mib }, { ...all, swap: false });
    expect(seen).toEqual({
      host: { Memory: 64 * mib, MemorySwap: -1 },
      warnings: [
        "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
      ],
    });
  });

  test("a killer that is off without a limit is dangerous", () => {
    expect(check({ OomKillDisable: true }).warnings[0]).toStartWith(
      "OOM killer is disabled for the container",
    );
    expect(check({ OomKillDisable: true, Memory: 64 * mib }).warnings).toEqual([]);
  });
});

test.each([
  [{ Memory: 1 }, "Minimum memory limit allowed is 6MB"],
  [{ Memory: 64 * mib, MemorySwap: 32 * mib }, "Minimum memoryswap limit should be larger than memory limit"],
  [{ MemorySwap: 32 * mib }, "You should always set the Memory limit when using Memoryswap limit"],
  [{ MemorySwappiness: 101 }, "Invalid value: 101, valid memory swappiness range is 0-100"],
  [{ MemoryReservation: 1 }, "Minimum memory reservation allowed is 6MB"],
  [{ NanoCpus: 1e9, CpuPeriod: 5000 }, "Conflicting options: Nano CPUs and CPU Period cannot both be set"],
  [{ NanoCpus: 5e9 }, "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"],
  [{ CpuPeriod: 10 }, "CPU cfs period can not be less than 1ms"],
  [{ CpuQuota: 10 }, "CPU cfs quota can not be less than 1ms"],
  [{ CpuShares: -1 }, "invalid CPU shares (-1): value must be a positive integer"],
  [{ CpuRealtimeRuntime: 2, CpuRealtimePeriod: 1 }, "cpu real-time runtime cannot be higher than"],
  [{ CpusetCpus: "4" }, "Requested CPUs are not available - requested 4, available: 0-3,8"],
  [{ CpusetMems: "1" }, "Requested memory nodes are not available - requested 1, available: 0"],
  [{ CpusetCpus: "3-1" }, "Invalid value 3-1 for cpuset cpus: invalid format: 3-1"],
  [{ BlkioWeight: 5 }, "Range of blkio weight is from 10 to 1000"],
] as [HostConfig, string][])("%j is refused", (host, message) => {
  expect(() => check(host)).toThrow(message);
});

test("an update may raise swap alone; sets of processors that are there pass", () => {
  expect(check({ MemorySwap: 64 * mib }, all, true).warnings).toEqual([]);
  expect(check({ CpusetCpus: "1-2,8" }).host.CpusetCpus).toBe("1-2,8");
});
