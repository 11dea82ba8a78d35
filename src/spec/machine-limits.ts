/** What the machine's cgroups can limit, and within which bounds. */
export interface MachineLimits {
  readonly memory: boolean;
  readonly memoryReservation: boolean;
  readonly memorySwappiness: boolean;
  readonly swap: boolean;
  readonly oomKillDisable: boolean;
  readonly cpuShares: boolean;
  /** Quotas and periods. */
  readonly cpuQuota: boolean;
  readonly cpuRealtime: boolean;
  readonly cpuset: boolean;
  /** CPUs and memory nodes there are: `0-3,8`. */
  readonly cpus: string;
  readonly memoryNodes: string;
  readonly pids: boolean;
  readonly blkioWeight: boolean;
  /** Rates of devices, in bytes and in operations. */
  readonly blkioThrottle: boolean;
  readonly cgroupNamespaces: boolean;
}
