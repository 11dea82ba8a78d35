/** Which limits this machine's cgroups know (kernel documentation: admin-guide/cgroup-v1, cgroup-v2.rst). Reads only. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { MachineLimits } from "#spec/machine-limits.ts";
import type { CgroupLayout } from "./cgroup.ts";

/** A fresh look. `proc` is where /proc is, for tests. */
export function machineLimits(layout: CgroupLayout, proc = "/proc"): MachineLimits {
  const cgroupNamespaces = existsSync(join(proc, "self/ns/cgroup"));
  const controllers = layout.kind === "v2" ? unifiedLimits(layout, proc) : dividedLimits(layout);
  return { ...controllers, cgroupNamespaces };
}

type ControllerLimits = Omit<MachineLimits, "cgroupNamespaces">;

function dividedLimits({ hierarchies }: CgroupLayout): ControllerLimits {
  const has = (controller: string, file: string): boolean => {
    const mount = hierarchies.get(controller);
    return mount !== undefined && existsSync(join(mount, file));
  };
  const set = (file: string) => readText(join(hierarchies.get("cpuset") ?? "", file));
  return {
    memory: hierarchies.has("memory"),
    memoryReservation: has("memory", "memory.soft_limit_in_bytes"),
    memorySwappiness: has("memory", "memory.swappiness"),
    swap: has("memory", "memory.memsw.limit_in_bytes"),
    oomKillDisable: has("memory", "memory.oom_control"),
    cpuShares: has("cpu", "cpu.shares"),
    cpuQuota: has("cpu", "cpu.cfs_quota_us"),
    cpuRealtime: has("cpu", "cpu.rt_period_us"),
    cpuset: hierarchies.has("cpuset"),
    cpus: set("cpuset.cpus"),
    memoryNodes: set("cpuset.mems"),
    pids: hierarchies.has("pids"),
    // BFQ has its weights in every group but the first.
    blkioWeight: has("blkio", "blkio.weight") || has("blkio", "blkio.bfq.io_service_bytes"),
    blkioThrottle: has("blkio", "blkio.throttle.read_bps_device"),
  };
}

function unifiedLimits({ hierarchies }: CgroupLayout, proc: string): ControllerLimits {
  const mount = hierarchies.get("unified") ?? "/sys/fs/cgroup";
  const controllers = new Set(readText(join(mount, "cgroup.controllers")).split(" "));
  const own = /^0::(.*)$/m.exec(readText(join(proc, "self/cgroup")))?.[1] ?? "/";
  const memory = controllers.has("memory");
  return {
    memory,
    memoryReservation: memory,
    memorySwappiness: false,
    // The first group has no limits of its own to look at.
    swap: memory && (own === "/" || existsSync(join(mount, own, "memory.swap.max"))),
    oomKillDisable: false,
    cpuShares: controllers.has("cpu"),
    cpuQuota: controllers.has("cpu"),
    cpuRealtime: false,
    cpuset: controllers.has("cpuset"),
    cpus: readText(join(mount, "cpuset.cpus.effective")),
    memoryNodes: readText(join(mount, "cpuset.mems.effective")),
    pids: controllers.has("pids"),
    blkioWeight: controllers.has("io"),
    blkioThrottle: controllers.has("io"),
  };
}

/** Empty when it cannot be read. */
function readText(path: string): string {
  try {
    return readFileSync(path, "latin1").trim();
  } catch {
    return "";
  }
}
