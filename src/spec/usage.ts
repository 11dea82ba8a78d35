/**
 * What a container uses of its machine, at one moment. Counters only grow while it runs; bytes and nanoseconds are
 * numbers, exact up to 2^53.
 */
export interface UsageSample {
  /** RFC 3339 with nanoseconds. */
  readonly readAt: string;
  readonly cpu: CpuUsage;
  readonly memory: MemoryUsage;
  readonly processes: {
    readonly current: number;
    /** Absent when there is none. */
    readonly limit?: number | undefined;
  };
  readonly io: IoUsage;
  /** By the interface's name inside the container; without the loopback. */
  readonly networks: Readonly<Record<string, InterfaceUsage>>;
}

/** All times in nanoseconds. */
export interface CpuUsage {
  readonly total: number;
  readonly kernel: number;
  readonly user: number;
  /** By CPU; only version 1 of cgroups counts so. */
  readonly perCpu?: readonly number[] | undefined;
  /** Of all CPUs of the machine, idle time included. */
  readonly system: number;
  readonly online: number;
  readonly throttling: { readonly periods: number; readonly throttled: number; readonly time: number };
}

/** In bytes. */
export interface MemoryUsage {
  /** Page cache included. */
  readonly usage: number;
  /** Only version 1 of cgroups knows it. */
  readonly maxUsage?: number | undefined;
  /** How often the limit was hit; only in version 1. */
  readonly failures?: number | undefined;
  /** The machine's memory when the container has no limit of its own. */
  readonly limit: number;
  /** The kernel's own numbers, by the names Docker picks of them. */
  readonly stats: Readonly<Record<string, number>>;
}

export interface IoEntry {
  readonly major: number;
  readonly minor: number;
  /** `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total` in version 1; `read` and `write` in version 2. */
  readonly operation: string;
  readonly value: number;
}

export interface IoUsage {
  /** In bytes. */
  readonly serviceBytes: readonly IoEntry[];
  /** Requests; absent in version 2, where Docker does not tell of them. */
  readonly serviced?: readonly IoEntry[] | undefined;
}

export interface InterfaceUsage {
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}
