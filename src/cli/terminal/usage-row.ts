/** Pure. One line of `stats`, computed from an engine's counters as the docker CLI does. */

import { binarySize, decimalSize, shownId } from "#cli/flags/units.ts";
import type { CpuStats, StatsAnswer } from "#spec/docker-stats.ts";

export interface UsageRow {
  readonly BlockIO: string;
  readonly CPUPerc: string;
  readonly Container: string;
  readonly ID: string;
  readonly MemPerc: string;
  readonly MemUsage: string;
  readonly Name: string;
  readonly NetIO: string;
  readonly PIDs: string;
}

export const usageHeaders = {
  BlockIO: "BLOCK I/O",
  CPUPerc: "CPU %",
  Container: "CONTAINER",
  ID: "CONTAINER ID",
  MemPerc: "MEM %",
  MemUsage: "MEM USAGE / LIMIT",
  Name: "NAME",
  NetIO: "NET I/O",
  PIDs: "PIDS",
} as const;

/** `container` is what the user called it. Without an answer yet, dashes. */
export function usageRow(container: string, answer: StatsAnswer | undefined, whole: boolean): UsageRow {
  if (answer === undefined)
    return {
      ...{ BlockIO: "-- / --", CPUPerc: "--", Container: container, ID: "--", MemPerc: "--" },
      ...{ MemUsage: "-- / --", Name: "--", NetIO: "-- / --", PIDs: "--" },
    };
  const used = memoryUsed(answer);
  const limit = answer.memory_stats.limit ?? 0;
  const interfaces = Object.values(answer.networks ?? {});
  const sum = (of: (each: (typeof interfaces)[number]) => number) =>
    interfaces.reduce((total, each) => total + of(each), 0);
  return {
    BlockIO: `${decimalSize(blockBytes(answer, "r"))} / ${decimalSize(blockBytes(answer, "w"))}`,
    CPUPerc: `${cpuPercent(answer).toFixed(2)}%`,
    Container: container,
    ID: shownId(answer.id, whole),
    MemPerc: `${(limit === 0 ? 0 : (used / limit) * 100).toFixed(2)}%`,
    MemUsage: `${binarySize(used)} / ${binarySize(limit)}`,
    Name: answer.name.replace(/^\//, ""),
    NetIO: `${decimalSize(sum((each) => each.rx_bytes))} / ${decimalSize(sum((each) => each.tx_bytes))}`,
    PIDs: String(answer.pids_stats.current ?? 0),
  };
}

/** Of one CPU: two busy ones are 200. */
function cpuPercent({ cpu_stats: now, precpu_stats: before }: StatsAnswer): number {
  const own = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const machine = systemTime(now) - systemTime(before);
  const cpus = now.online_cpus || now.cpu_usage.percpu_usage?.length || 0;
  return machine > 0 && own > 0 ? (own / machine) * cpus * 100 : 0;
}

function systemTime(cpu: CpuStats): number {
  return cpu.system_cpu_usage ?? 0;
}

/** Without the part of the page cache that the kernel would give back first. */
function memoryUsed({ memory_stats: { usage = 0, stats = {} } }: StatsAnswer): number {
  const cache = stats["total_inactive_file"] ?? stats["inactive_file"] ?? 0;
  return cache < usage ? usage - cache : usage;
}

function blockBytes({ blkio_stats }: StatsAnswer, operation: "r" | "w"): number {
  return (blkio_stats.io_service_bytes_recursive ?? [])
    .filter(({ op }) => op.toLowerCase().startsWith(operation))
    .reduce((total, { value }) => total + value, 0);
}
