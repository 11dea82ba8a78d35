/**
 * Limits of a container as dockerd checks them: what cannot be is refused, what the machine cannot do is left out with a
 * warning, both in dockerd's words.
 * Pure. Never: looks at the machine; what it can is handed in.
 */
import type { HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { MachineLimits } from "#spec/machine-limits.ts";

export interface ResourceFacts {
  readonly limits: MachineLimits;
  readonly cpus: number;
}

const memoryBytesMin = 6 * 1024 * 1024;

/**
 * @param o.update An update may name swap without memory.
 * @throws Fault `invalid` with the first thing that cannot be.
 */
export function checkResources(
  given: HostConfig,
  facts: ResourceFacts,
  o: { readonly update: boolean },
): { host: HostConfig; warnings: string[] } {
  const host: HostConfig = { ...given };
  const warnings: string[] = [];
  checkMemory(host, facts.limits, o.update, warnings);
  checkOom(host, facts.limits, warnings);
  checkPids(host, facts.limits, warnings);
  checkCpu(host, facts, warnings);
  checkRealtime(host, facts.limits);
  checkCpuset(host, facts.limits, warnings);
  checkBlockIo(host, facts.limits, warnings);
  return { host, warnings };
}

function refuse(message: string): never {
  throw new Fault("invalid", message);
}

function unsupported(what: string, consequence: string): string {
  return `Your kernel does not support ${what} or the cgroup is not mounted. ${consequence}`;
}

function checkMemory(host: HostConfig, limits: MachineLimits, update: boolean, warnings: string[]): void {
  const { Memory: memory = 0, MemoryReservation: reservation = 0 } = host;
  if (memory !== 0 && memory < memoryBytesMin) refuse("Minimum memory limit allowed is 6MB");
  if (memory > 0 && !limits.memory) {
    warnings.push(unsupported("memory limit capabilities", "Limitation discarded."));
    host.Memory = 0;
    host.MemorySwap = -1;
  }
  if (memory > 0 && host.MemorySwap !== -1 && !limits.swap) {
    warnings.push(unsupported("swap limit capabilities", "Memory limited without swap."));
    host.MemorySwap = -1;
  }
  const swap = host.MemorySwap ?? 0;
  if (memory > 0 && swap > 0 && swap < memory)
    refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
  if (memory === 0 && swap > 0 && !update)
    refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
  checkSwappiness(host, limits, warnings);
  if (reservation > 0 && !limits.memoryReservation) {
    warnings.push(unsupported("memory soft limit capabilities", "Limitation discarded."));
    host.MemoryReservation = 0;
    return;
  }
  if (reservation > 0 && reservation < memoryBytesMin) refuse("Minimum memory reservation allowed is 6MB");
  if (memory > 0 && reservation > 0 && memory < reservation)
    refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
}

function checkSwappiness(host: HostConfig, limits: MachineLimits, warnings: string[]): void {
  const swappiness = host.MemorySwappiness ?? -1;
  if (swappiness === -1) return;
  if (!limits.memorySwappiness) {
    warnings.push(unsupported("memory swappiness capabilities", "Memory swappiness discarded."));
    delete host.MemorySwappiness;
    return;
  }
  if (swappiness < 0 || swappiness > 100)
    refuse(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
}

function checkOom(host: HostConfig, limits: MachineLimits, warnings: string[]): void {
  if (!limits.oomKillDisable) {
    if (host.OomKillDisable === true)
      warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
    delete host.OomKillDisable;
  } else if (host.OomKillDisable === true && !host.Memory)
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    );
}

function checkPids(host: HostConfig, limits: MachineLimits, warnings: string[]): void {
  if (limits.pids || host.PidsLimit === undefined || host.PidsLimit === null) return;
  if (host.PidsLimit > 0) warnings.push(unsupported("PIDs limit capabilities", "PIDs limit discarded."));
  delete host.PidsLimit;
}

function checkCpu(host: HostConfig, { limits, cpus }: ResourceFacts, warnings: string[]): void {
  const { NanoCpus: nano = 0, CpuPeriod: period = 0, CpuQuota: quota = 0, CpuShares: shares = 0 } = host;
  if (nano > 0 && period > 0) refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  if (nano > 0 && quota > 0) refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  if (nano > 0 && !limits.cpuQuota)
    refuse(
      "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
    );
  if (nano < 0 || nano > cpus * 1e9)
    refuse(`Range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`);
  if (shares < 0) refuse(`invalid CPU shares (${shares}): value must be a positive integer`);
  if (shares > 0 && !limits.cpuShares) {
    warnings.push(unsupported("CPU shares", "Shares discarded."));
    host.CpuShares = 0;
  }
  if ((period !== 0 || quota !== 0) && !limits.cpuQuota) {
    warnings.push("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.");
    host.CpuPeriod = 0;
    host.CpuQuota = 0;
    return;
  }
  if (period !== 0 && (period < 1000 || period > 1_000_000))
    refuse("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  if (quota > 0 && quota < 1000) refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
}

function checkRealtime(host: HostConfig, limits: MachineLimits): void {
  const { CpuRealtimePeriod: period = 0, CpuRealtimeRuntime: runtime = 0 } = host;
  if (period === 0 && runtime === 0) return;
  if (!limits.cpuRealtime) refuse("kernel does not support CPU real-time scheduler");
  if (period < 0 || runtime < 0) refuse("cpu real-time period and runtime cannot be negative");
  if (period !== 0 && runtime > period)
    refuse("cpu real-time runtime cannot be higher than cpu real-time period");
}

function checkCpuset(host: HostConfig, limits: MachineLimits, warnings: string[]): void {
  const { CpusetCpus: cpus = "", CpusetMems: nodes = "" } = host;
  if (cpus === "" && nodes === "") return;
  if (!limits.cpuset) {
    warnings.push(unsupported("cpuset", "Cpuset discarded."));
    host.CpusetCpus = "";
    host.CpusetMems = "";
    return;
  }
  if (!isSubset(cpus, limits.cpus, "cpus"))
    refuse(`Requested CPUs are not available - requested ${cpus}, available: ${limits.cpus}`);
  if (!isSubset(nodes, limits.memoryNodes, "mems"))
    refuse(`Requested memory nodes are not available - requested ${nodes}, available: ${limits.memoryNodes}`);
}

/** CPUs and nodes are numbered below this; a longer list is no machine's. */
const cpuNumberMax = 8192;

function isSubset(wanted: string, available: string, kind: "cpus" | "mems"): boolean {
  const there = new Set(numbers(available) ?? []);
  const named = numbers(wanted);
  if (named === undefined) refuse(`Invalid value ${wanted} for cpuset ${kind}: invalid format: ${wanted}`);
  return named.every((each) => there.has(each));
}

/** `0-3,8`; undefined for other text. */
function numbers(list: string): number[] | undefined {
  if (list === "") return [];
  const all: number[] = [];
  for (const part of list.split(",")) {
    const [, low = "", high = low] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? [];
    if (low === "" || Number(low) > Number(high) || Number(high) > cpuNumberMax) return undefined;
    for (let each = Number(low); each <= Number(high); each++) all.push(each);
  }
  return all;
}

const throttleWords = {
  BlkioDeviceReadBps: ["BPS Block I/O read limit", "Block I/O BPS read limit discarded."],
  BlkioDeviceWriteBps: ["BPS Block I/O write limit", "Block I/O BPS write limit discarded."],
  BlkioDeviceReadIOps: ["IOPS Block read limit", "Block I/O IOPS read limit discarded."],
  BlkioDeviceWriteIOps: ["IOPS Block write limit", "Block I/O IOPS write limit discarded."],
} as const;

function checkBlockIo(host: HostConfig, limits: MachineLimits, warnings: string[]): void {
  const weight = host.BlkioWeight ?? 0;
  if (weight > 0 && !limits.blkioWeight) {
    warnings.push(unsupported("Block I/O weight", "Weight discarded."));
    host.BlkioWeight = 0;
  } else if (weight !== 0 && (weight < 10 || weight > 1000))
    refuse("Range of blkio weight is from 10 to 1000");
  if ((host.BlkioWeightDevice ?? []).length > 0 && !limits.blkioWeight) {
    warnings.push(unsupported("Block I/O weight_device", "Weight-device discarded."));
    host.BlkioWeightDevice = [];
  }
  for (const [field, [what, consequence]] of Object.entries(throttleWords) as [
    keyof typeof throttleWords,
    readonly [string, string],
  ][]) {
    if ((host[field] ?? []).length === 0) continue;
    if (host[field]?.some(({ Rate = 0 }) => Rate < 0)) refuse(`${field} cannot be negative`);
    if (limits.blkioThrottle) continue;
    warnings.push(unsupported(what, consequence));
    host[field] = [];
  }
}
