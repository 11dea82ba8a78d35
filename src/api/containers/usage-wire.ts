/**
 * A container's usage as `GET /containers/{id}/stats` shows it.
 * Pure.
 */

import type { UsageView } from "#api/looking-face.ts";
import { zeroTime } from "#spec/container.ts";
import type { CpuStats, StatsAnswer } from "#spec/docker-stats.ts";
import type { CpuUsage, InterfaceUsage, IoEntry, UsageSample } from "#spec/usage.ts";

export function statsAnswer({ container, sample, previous }: UsageView): StatsAnswer {
  const networks = sample === undefined ? {} : interfaces(sample);
  return {
    read: sample?.readAt ?? zeroTime,
    preread: previous?.readAt ?? zeroTime,
    pids_stats:
      sample === undefined
        ? {}
        : { current: sample.processes.current, ...present("limit", sample.processes.limit) },
    blkio_stats: blockStats(sample),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuStats(sample?.cpu),
    precpu_stats: cpuStats(previous?.cpu),
    memory_stats: memoryStats(sample),
    name: `/${container.name}`,
    id: container.id,
    ...(Object.keys(networks).length > 0 && { networks }),
  };
}

/** Go leaves zeros of these out. */
function present<Key extends string>(key: Key, value: number | undefined): { [K in Key]?: number } {
  return value === undefined || value === 0 ? {} : ({ [key]: value } as { [K in Key]: number });
}

function cpuStats(cpu: CpuUsage | undefined): CpuStats {
  return {
    cpu_usage: {
      total_usage: cpu?.total ?? 0,
      ...(cpu?.perCpu !== undefined && { percpu_usage: [...cpu.perCpu] }),
      usage_in_kernelmode: cpu?.kernel ?? 0,
      usage_in_usermode: cpu?.user ?? 0,
    },
    ...(cpu !== undefined && { system_cpu_usage: cpu.system, online_cpus: cpu.online }),
    throttling_data: {
      periods: cpu?.throttling.periods ?? 0,
      throttled_periods: cpu?.throttling.throttled ?? 0,
      throttled_time: cpu?.throttling.time ?? 0,
    },
  };
}

function memoryStats(sample: UsageSample | undefined): StatsAnswer["memory_stats"] {
  if (sample === undefined) return {};
  const { usage, maxUsage, failures, limit, stats } = sample.memory;
  return {
    ...present("usage", usage),
    ...present("max_usage", maxUsage),
    stats: { ...stats },
    ...present("failcnt", failures),
    ...present("limit", limit),
  };
}

/** What only the old scheduler counted is empty in version 1 of cgroups, and null in version 2. */
function blockStats(sample: UsageSample | undefined): StatsAnswer["blkio_stats"] {
  const counted = sample?.io.serviced === undefined ? null : [];
  return {
    io_service_bytes_recursive: sample === undefined ? null : entries(sample.io.serviceBytes),
    io_serviced_recursive: sample?.io.serviced === undefined ? null : entries(sample.io.serviced),
    io_queue_recursive: counted,
    io_service_time_recursive: counted,
    io_wait_time_recursive: counted,
    io_merged_recursive: counted,
    io_time_recursive: counted,
    sectors_recursive: counted,
  };
}

function entries(io: readonly IoEntry[]) {
  return io.map(({ major, minor, operation, value }) => ({ major, minor, op: operation, value }));
}

function interfaces({ networks }: UsageSample): Record<string, ReturnType<typeof interfaceStats>> {
  return Object.fromEntries(Object.entries(networks).map(([name, each]) => [name, interfaceStats(each)]));
}

function interfaceStats(each: InterfaceUsage) {
  return {
    rx_bytes: each.rxBytes,
    rx_packets: each.rxPackets,
    rx_errors: each.rxErrors,
    rx_dropped: each.rxDropped,
    tx_bytes: each.txBytes,
    tx_packets: each.txPackets,
    tx_errors: each.txErrors,
    tx_dropped: each.txDropped,
  };
}
