import { expect, test } from "bun:test";
import type { CpuStats, StatsAnswer } from "#spec/docker-stats.ts";
import { usageRow } from "./usage-row.ts";

const cpu = (total: number, system: number): CpuStats => ({
  cpu_usage: { total_usage: total, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  system_cpu_usage: system,
  online_cpus: 2,
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
});
const link = { rx_packets: 0, rx_errors: 0, rx_dropped: 0, tx_packets: 0, tx_errors: 0, tx_dropped: 0 };
const answer = {
  read: "",
  preread: "",
  pids_stats: { current: 3 },
  blkio_stats: {
    io_service_bytes_recursive: [
      { major: 8, minor: 0, op: "Read", value: 2000 },
      { major: 8, minor: 0, op: "write", value: 5 },
      { major: 8, minor: 0, op: "Total", value: 2005 },
    ],
  },
  cpu_stats: cpu(150, 1200),
  precpu_stats: cpu(50, 1000),
  memory_stats: { usage: 5 << 20, limit: 64 << 20, stats: { total_inactive_file: 1 << 20 } },
  name: "/web",
  id: "a".repeat(64),
  networks: { eth0: { ...link, rx_bytes: 1110, tx_bytes: 70 }, eth1: { ...link, rx_bytes: 1, tx_bytes: 0 } },
} as unknown as StatsAnswer;

test("a row as the docker CLI computes it", () => {
  expect(usageRow("web", answer, false)).toEqual({
    Container: "web",
    ID: "a".repeat(12),
    Name: "web",
    CPUPerc: "100.00%",
    MemUsage: "4MiB / 64MiB",
    MemPerc: "6.25%",
    NetIO: "1.11kB / 70B",
    BlockIO: "2kB / 5B",
    PIDs: "3",
  });
});

test("no answer yet, no figures", () => {
  expect(usageRow("web", undefined, false)).toMatchObject({
    Container: "web",
    CPUPerc: "--",
    MemUsage: "-- / --",
  });
});
