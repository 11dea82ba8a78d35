/** `GET /containers/{id}/stats` on the wire. Sizes in bytes, times in nanoseconds. */

export interface CpuStats {
  cpu_usage: {
    total_usage: number;
    percpu_usage?: number[];
    usage_in_kernelmode: number;
    usage_in_usermode: number;
  };
  system_cpu_usage?: number;
  online_cpus?: number;
  throttling_data: { periods: number; throttled_periods: number; throttled_time: number };
}

export interface BlockStatsEntry {
  major: number;
  minor: number;
  op: string;
  value: number;
}

export interface InterfaceStats {
  rx_bytes: number;
  rx_packets: number;
  rx_errors: number;
  rx_dropped: number;
  tx_bytes: number;
  tx_packets: number;
  tx_errors: number;
  tx_dropped: number;
}

export interface StatsAnswer {
  /** RFC 3339; year 1 where the container does not run. */
  read: string;
  preread: string;
  pids_stats: { current?: number; limit?: number };
  blkio_stats: Record<
    | "io_service_bytes_recursive"
    | "io_serviced_recursive"
    | "io_queue_recursive"
    | "io_service_time_recursive"
    | "io_wait_time_recursive"
    | "io_merged_recursive"
    | "io_time_recursive"
    | "sectors_recursive",
    BlockStatsEntry[] | null
  >;
  num_procs: number;
  storage_stats: Record<string, never>;
  cpu_stats: CpuStats;
  precpu_stats: CpuStats;
  memory_stats: {
    usage?: number;
    max_usage?: number;
    stats?: Record<string, number>;
    failcnt?: number;
    limit?: number;
  };
  name: string;
  id: string;
  networks?: Record<string, InterfaceStats>;
}

/** `GET /containers/{id}/top`. */
export interface TopAnswer {
  Titles: string[];
  Processes: string[][] | null;
}
