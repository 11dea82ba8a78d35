/**
 * Limits of a group that exists, written where the kernel reads them; both versions of cgroups.
 * Owns: which file says what, and in which order files that depend on one another are written.
 */
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { basename, join } from "node:path";
import { Fault } from "#spec/fault.ts";
import type { OciResources } from "#spec/oci-runtime.ts";
import type { CgroupLayout } from "./cgroup.ts";

/** One line for one file. */
export interface LimitWrite {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
}

/** The largest weight each version has, and the smallest. */
const shares = { least: 2, most: 262_144 } as const;
const defaultPeriod = 100_000;

/** Pure. Everything `resources` says, in an order that works for a group without limits. */
export function limitWrites(kind: "v1" | "v2", resources: OciResources): LimitWrite[] {
  return kind === "v1" ? dividedWrites(resources) : unifiedWrites(resources);
}

type Field = readonly [file: string, value: string | number | boolean | undefined];

function writes(controller: string, fields: readonly Field[]): LimitWrite[] {
  return fields.flatMap(([file, value]) =>
    value === undefined || value === "" ? [] : [{ controller, file, value: String(value) }],
  );
}

function dividedWrites({ memory = {}, cpu = {}, pids, blockIO = {} }: OciResources): LimitWrite[] {
  return [
    ...writes("memory", [
      ["memory.limit_in_bytes", memory.limit],
      ["memory.memsw.limit_in_bytes", memory.swap],
      ["memory.soft_limit_in_bytes", memory.reservation],
      ["memory.swappiness", memory.swappiness],
      [
        "memory.oom_control",
        memory.disableOOMKiller === undefined ? undefined : Number(memory.disableOOMKiller),
      ],
    ]),
    ...writes("cpu", [
      ["cpu.shares", cpu.shares],
      ["cpu.cfs_period_us", cpu.period],
      ["cpu.cfs_quota_us", cpu.quota],
    ]),
    ...writes("cpuset", [
      ["cpuset.cpus", cpu.cpus],
      ["cpuset.mems", cpu.mems],
    ]),
    ...writes("pids", [["pids.max", pids === undefined ? undefined : pids.limit > 0 ? pids.limit : "max"]]),
    ...writes("blkio", [
      ["blkio.weight", blockIO.weight],
      ...deviceFields(
        "blkio.weight_device",
        blockIO.weightDevice?.map((each) => ({ ...each, rate: each.weight })),
      ),
      ...deviceFields("blkio.throttle.read_bps_device", blockIO.throttleReadBpsDevice),
      ...deviceFields("blkio.throttle.write_bps_device", blockIO.throttleWriteBpsDevice),
      ...deviceFields("blkio.throttle.read_iops_device", blockIO.throttleReadIOPSDevice),
      ...deviceFields("blkio.throttle.write_iops_device", blockIO.throttleWriteIOPSDevice),
    ]),
  ];
}

interface DeviceRate {
  readonly major: number;
  readonly minor: number;
  readonly rate: number;
}

function deviceFields(file: string, devices: readonly DeviceRate[] = []): Field[] {
  return devices.map(({ major, minor, rate }) => [file, `${major}:${minor} ${rate}`]);
}

function unifiedWrites({ memory = {}, cpu = {}, pids, blockIO = {} }: OciResources): LimitWrite[] {
  const { limit, swap } = memory;
  const swapOnly = swap === undefined ? undefined : swap < 0 ? "max" : Math.max(0, swap - (limit ?? 0));
  const rate = (key: string, devices: readonly DeviceRate[] = []): Field[] =>
    devices.map((each) => [
      "io.max",
      `${each.major}:${each.minor} ${key}=${each.rate === 0 ? "max" : each.rate}`,
    ]);
  return [
    ...writes("memory", [
      ["memory.max", limit],
      ["memory.swap.max", swapOnly],
      ["memory.low", memory.reservation],
    ]),
    ...writes("cpu", [
      ["cpu.weight", cpu.shares === undefined ? undefined : cpuWeight(cpu.shares)],
      ["cpu.max", cpuMax(cpu)],
    ]),
    ...writes("cpuset", [
      ["cpuset.cpus", cpu.cpus],
      ["cpuset.mems", cpu.mems],
    ]),
    ...writes("pids", [["pids.max", pids === undefined ? undefined : pids.limit > 0 ? pids.limit : "max"]]),
    ...writes("io", [
      ["io.bfq.weight", blockIO.weight],
      ...(blockIO.weightDevice ?? []).map(
        ({ major, minor, weight }): Field => ["io.bfq.weight", `${major}:${minor} ${weight}`],
      ),
      ...rate("rbps", blockIO.throttleReadBpsDevice),
      ...rate("wbps", blockIO.throttleWriteBpsDevice),
      ...rate("riops", blockIO.throttleReadIOPSDevice),
      ...rate("wiops", blockIO.throttleWriteIOPSDevice),
    ]),
  ];
}

/** Shares of 2 to 262144 as weights of 1 to 10000, as low-level runtimes convert them. */
export function cpuWeight(given: number): number {
  const clamped = Math.min(Math.max(given, shares.least), shares.most);
  return 1 + Math.floor(((clamped - shares.least) * 9999) / (shares.most - shares.least));
}

function cpuMax({ quota, period }: NonNullable<OciResources["cpu"]>): string | undefined {
  if (quota === undefined && period === undefined) return undefined;
  return `${quota === undefined || quota <= 0 ? "max" : quota} ${period ?? defaultPeriod}`;
}

/** Where a file is called otherwise: BFQ keeps weights under its own name, or the kernel has io.weight in its place. */
const otherNames: Readonly<Record<string, (value: string) => { file: string; value: string }>> = {
  "blkio.weight": (value) => ({ file: "blkio.bfq.weight", value }),
  "blkio.weight_device": (value) => ({ file: "blkio.bfq.weight_device", value }),
  "io.bfq.weight": (value) => ({ file: "io.weight", value: ioWeight(value) }),
};

/** Weights of 10 to 1000 on the scale of 1 to 10000 that io.weight has; a device's number stays in front. */
function ioWeight(value: string): string {
  const [weight = "", device] = value.split(" ").reverse();
  const scaled = String(1 + Math.floor(((Number(weight) - 10) * 9999) / 990));
  return device === undefined ? `default ${scaled}` : `${device} ${scaled}`;
}

/**
 * Writes limits. Pairs that depend on one another (memory and swap, quota and period) are tried in the other order when
 * the kernel refuses the first: which one works depends on what was set before.
 * @throws Errno-like errors of the file system, with the file's path, for what the kernel refuses.
 */
export async function writeLimits(
  layout: CgroupLayout,
  group: string,
  limits: readonly LimitWrite[],
): Promise<void> {
  let postponed: LimitWrite | undefined;
  for (const limit of limits) {
    try {
      await writeLimit(layout, group, limit);
    } catch (error) {
      if (!pairs.has(limit.file) || postponed !== undefined) throw error;
      postponed = limit;
      continue;
    }
    if (postponed !== undefined) {
      await writeLimit(layout, group, postponed);
      postponed = undefined;
    }
  }
  if (postponed !== undefined) await writeLimit(layout, group, postponed);
}

const pairs = new Set(["memory.limit_in_bytes", "cpu.cfs_period_us"]);

async function writeLimit(layout: CgroupLayout, group: string, limit: LimitWrite): Promise<void> {
  const mount = layout.hierarchies.get(layout.kind === "v2" ? "unified" : limit.controller);
  if (mount === undefined) throw new Error(`no cgroup hierarchy has the controller ${limit.controller}`);
  const path = join(mount, group, limit.file);
  const other = otherNames[limit.file]?.(limit.value);
  if (other !== undefined && !existsSync(path))
    return await writeText(join(mount, group, other.file), other.value);
  await writeText(path, limit.value);
}

/** One error under two names. */
const unsupportedCodes = new Set(["EOPNOTSUPP", "ENOTSUP"]);

/** One write: the kernel takes a line at a time, and never makes a file here. */
async function writeText(path: string, text: string): Promise<void> {
  await using file = await open(path, "r+");
  try {
    await file.write(text);
  } catch (cause) {
    const unsupported = cause instanceof Error && "code" in cause && unsupportedCodes.has(String(cause.code));
    if (!unsupported || !path.includes("weight")) throw cause;
    const message = `${basename(path)} ${text}: the device's I/O scheduler knows no weights: choose bfq for it`;
    throw new Fault("unsupported", message, { cause });
  }
}
