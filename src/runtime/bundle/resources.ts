/** Pure. Limits of a container, from Docker's words into the runtime specification's. */
import type { HostConfig, Ulimit } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { OciBlockIo, OciDeviceRule, OciResources, OciRlimit } from "#spec/oci-runtime.ts";

/** Docker's period when `NanoCpus` says how much of it, in microseconds. */
const cpuPeriod = 100_000;

export interface KernelLimits {
  /** Whether swap can be limited at all; version 1 of cgroups has it only with a boot option. */
  readonly swap: boolean;
}

export function renderResources(
  host: HostConfig,
  o: {
    readonly devices: readonly OciDeviceRule[];
    readonly blockIo: OciBlockIo;
    readonly kernel: KernelLimits;
  },
): OciResources {
  const memory = memoryOf(host, o.kernel);
  const cpu = cpuOf(host);
  const pids = host.PidsLimit ?? 0;
  return {
    devices: [...o.devices],
    ...(Object.keys(memory).length > 0 && { memory }),
    ...(Object.keys(cpu).length > 0 && { cpu }),
    ...(pids !== 0 && { pids: { limit: pids } }),
    ...(Object.keys(o.blockIo).length > 0 && { blockIO: o.blockIo }),
  };
}

/** What low-level runtimes do not manage: weights that the BFQ scheduler has under its own name, real-time time. */
export interface OwnLimits {
  readonly blockIO?: OciBlockIo;
  readonly realtime?: { readonly runtime: number; readonly period: number };
}

/** The kernel's period of real-time limits, in microseconds. */
const realtimePeriod = 1_000_000;

/** Takes out of a container's resources what the engine sees to itself. */
export function divideResources(host: HostConfig, resources: OciResources): [OciResources, OwnLimits] {
  const { blockIO: { weight, weightDevice, ...throttles } = {}, ...rest } = resources;
  const runtime = host.CpuRealtimeRuntime ?? 0;
  const period = host.CpuRealtimePeriod || realtimePeriod;
  return [
    { ...rest, ...(Object.keys(throttles).length > 0 && { blockIO: throttles }) },
    {
      ...((weight !== undefined || weightDevice !== undefined) && {
        blockIO: {
          ...(weight !== undefined && { weight }),
          ...(weightDevice !== undefined && { weightDevice }),
        },
      }),
      ...((runtime > 0 || isSet(host.CpuRealtimePeriod)) && { realtime: { runtime, period } }),
    },
  ];
}

function isSet(value: number | null | undefined): value is number {
  return value !== undefined && value !== null && value !== 0;
}

function memoryOf(host: HostConfig, kernel: KernelLimits): NonNullable<OciResources["memory"]> {
  // As Docker: without a word about swap, as much of it as of memory.
  const swap = isSet(host.MemorySwap) ? host.MemorySwap : isSet(host.Memory) ? 2 * host.Memory : 0;
  const swappiness = host.MemorySwappiness ?? -1;
  return {
    ...(isSet(host.Memory) && { limit: host.Memory }),
    ...(isSet(host.MemoryReservation) && { reservation: host.MemoryReservation }),
    ...(swap !== 0 && kernel.swap && { swap }),
    ...(swappiness >= 0 && { swappiness }),
    ...(host.OomKillDisable === true && { disableOOMKiller: true }),
  };
}

function cpuOf(host: HostConfig): NonNullable<OciResources["cpu"]> {
  const nano = isSet(host.NanoCpus);
  const quota = nano ? Math.round(((host.NanoCpus ?? 0) * cpuPeriod) / 1e9) : host.CpuQuota;
  const period = nano ? cpuPeriod : host.CpuPeriod;
  return {
    ...(isSet(host.CpuShares) && { shares: host.CpuShares }),
    ...(isSet(quota) && { quota }),
    ...(isSet(period) && { period }),
    ...(host.CpusetCpus !== undefined && host.CpusetCpus !== "" && { cpus: host.CpusetCpus }),
    ...(host.CpusetMems !== undefined && host.CpusetMems !== "" && { mems: host.CpusetMems }),
  };
}

const rlimitNames =
  /^(?:core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack|as)$/;

/** @throws Fault `invalid` for an unknown name, or a soft limit above the hard one. */
export function renderRlimits(ulimits: readonly Ulimit[]): OciRlimit[] {
  return ulimits.map(({ Name = "", Soft = 0, Hard = Soft }) => {
    if (!rlimitNames.test(Name)) throw new Fault("invalid", `invalid ulimit type: ${Name}`);
    if (Hard !== -1 && (Soft > Hard || Soft === -1))
      throw new Fault(
        "invalid",
        `ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`,
      );
    return { type: `RLIMIT_${Name.toUpperCase()}`, soft: unlimited(Soft), hard: unlimited(Hard) };
  });
}

/** The specification's numbers are unsigned 64-bit; this is the nearest that JSON writers and readers agree on. */
function unlimited(value: number): number {
  return value < 0 ? Number.MAX_SAFE_INTEGER : value;
}
