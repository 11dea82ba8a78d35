/**
 * What a control group uses, read from the kernel's files in version 1 and 2 (cgroups(7); kernel documentation,
 * admin-guide/cgroup-v1/ and admin-guide/cgroup-v2.rst).
 * Promises: a file that is not there counts as nothing, since controllers differ by machine and a group may end while it
 * is read. Never: writes.
 */
import { readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import type { CpuUsage, IoEntry, IoUsage, MemoryUsage, UsageSample } from "#spec/usage.ts";
import type { CgroupLayout } from "./cgroup.ts";
import { memoryStatsV1, memoryStatsV2 } from "./memory-stats.ts";

type GroupCpu = Omit<CpuUsage, "system" | "online">;

export interface GroupUsage extends Pick<UsageSample, "memory" | "processes" | "io"> {
  readonly cpu: GroupCpu;
}

/** @throws Errno `ENOENT` when the group is gone. */
export async function groupUsage(layout: CgroupLayout, group: string): Promise<GroupUsage> {
  return layout.kind === "v2" ? await usageV2(layout, group) : await usageV1(layout, group);
}

async function usageV2({ hierarchies }: CgroupLayout, group: string): Promise<GroupUsage> {
  const directory = join(hierarchies.get("unified") ?? "/sys/fs/cgroup", group);
  const file = (name: string) => text(join(directory, name));
  const [cpuStat, memoryStat, current, max, pids, pidsMax, io] = await Promise.all([
    // The only one that is in every group: without it there is none.
    readFile(join(directory, "cpu.stat"), "latin1"),
    file("memory.stat"),
    file("memory.current"),
    file("memory.max"),
    file("pids.current"),
    file("pids.max"),
    file("io.stat"),
  ]);
  const cpu = keyed(cpuStat);
  const micro = (name: string) => (cpu.get(name) ?? 0) * 1000;
  return {
    cpu: {
      total: micro("usage_usec"),
      kernel: micro("system_usec"),
      user: micro("user_usec"),
      throttling: {
        periods: cpu.get("nr_periods") ?? 0,
        throttled: cpu.get("nr_throttled") ?? 0,
        time: micro("throttled_usec"),
      },
    },
    memory: {
      usage: count(current),
      limit: limitOf(max),
      stats: memoryStatsV2(keyed(memoryStat)),
    },
    processes: { current: count(pids), limit: finite(pidsMax) },
    io: { serviceBytes: ioEntriesV2(io) },
  };
}

async function usageV1({ hierarchies }: CgroupLayout, group: string): Promise<GroupUsage> {
  const of = (controller: string, name: string): Promise<string> => {
    const mount = hierarchies.get(controller);
    return mount === undefined ? Promise.resolve("") : text(join(mount, group, name));
  };
  const [pids, pidsMax] = await Promise.all([
    readFile(
      join(hierarchies.get("pids") ?? hierarchies.get("memory") ?? "", group, "pids.current"),
      "latin1",
    ),
    of("pids", "pids.max"),
  ]);
  const [cpu, memory, io] = await Promise.all([cpuV1(of), memoryV1(of), ioV1(of)]);
  return { cpu, memory, io, processes: { current: count(pids), limit: finite(pidsMax) } };
}

type Read = (controller: string, name: string) => Promise<string>;

/** cpuacct counts user and kernel time in hundredths of a second. */
const tickNanoseconds = 1e7;

async function cpuV1(of: Read): Promise<GroupCpu> {
  const [total, perCpu, split, stat] = await Promise.all([
    of("cpuacct", "cpuacct.usage"),
    of("cpuacct", "cpuacct.usage_percpu"),
    of("cpuacct", "cpuacct.stat"),
    of("cpu", "cpu.stat"),
  ]);
  const [times, throttling] = [keyed(split), keyed(stat)];
  return {
    total: count(total),
    kernel: (times.get("system") ?? 0) * tickNanoseconds,
    user: (times.get("user") ?? 0) * tickNanoseconds,
    perCpu: perCpu.split(/\s+/).filter(Boolean).map(Number),
    throttling: {
      periods: throttling.get("nr_periods") ?? 0,
      throttled: throttling.get("nr_throttled") ?? 0,
      time: throttling.get("throttled_time") ?? 0,
    },
  };
}

async function memoryV1(of: Read): Promise<MemoryUsage> {
  const [stat, usage, max, failures, limit] = await Promise.all(
    ["stat", "usage_in_bytes", "max_usage_in_bytes", "failcnt", "limit_in_bytes"].map(
      async (name) => await of("memory", `memory.${name}`),
    ),
  );
  return {
    usage: count(usage),
    maxUsage: count(max),
    failures: count(failures),
    limit: limitOf(limit),
    stats: memoryStatsV1(keyed(stat ?? "")),
  };
}

async function ioV1(of: Read): Promise<IoUsage> {
  const [bytes, requests] = await Promise.all([
    of("blkio", "blkio.throttle.io_service_bytes_recursive"),
    of("blkio", "blkio.throttle.io_serviced_recursive"),
  ]);
  return { serviceBytes: ioEntriesV1(bytes), serviced: ioEntriesV1(requests) };
}

/** Lines `8:0 Read 4096`; sums over all devices have no number in front. */
function ioEntriesV1(text: string): IoEntry[] {
  return [...text.matchAll(/^(\d+):(\d+) (\w+) (\d+)$/gm)].map(([, major, minor, operation = "", value]) => ({
    major: Number(major),
    minor: Number(minor),
    operation,
    value: Number(value),
  }));
}

/** Lines `8:0 rbytes=4096 wbytes=0 …`. */
function ioEntriesV2(text: string): IoEntry[] {
  return [...text.matchAll(/^(\d+):(\d+) (.*)$/gm)].flatMap(([, major, minor, rest = ""]) => {
    const value = (key: string) => Number(new RegExp(`\\b${key}=(\\d+)`).exec(rest)?.[1] ?? 0);
    const device = { major: Number(major), minor: Number(minor) };
    return [
      { ...device, operation: "read", value: value("rbytes") },
      { ...device, operation: "write", value: value("wbytes") },
    ];
  });
}

async function text(path: string): Promise<string> {
  return await readFile(path, "latin1").catch(() => "");
}

/** Lines `name number`. */
function keyed(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^(\S+) (\d+)$/gm)].map(([, name = "", value]) => [name, Number(value)]));
}

function count(text = ""): number {
  return Number(text.trim()) || 0;
}

function finite(text: string): number | undefined {
  return text.trim() === "max" ? undefined : count(text) || undefined;
}

/** What a container may use is never more than there is. */
function limitOf(text = ""): number {
  const limit = finite(text) ?? Number.POSITIVE_INFINITY;
  return Math.min(limit, totalmem());
}
