/** Limits of groups that exist: what low-level runtimes leave to the engine, and changes while a container runs. */

import type { CgroupLayout } from "#kernel/cgroups/cgroup.ts";
import { type LimitWrite, limitWrites, writeLimits } from "#kernel/cgroups/cgroup-limits.ts";
import { grantRealtime } from "#kernel/cgroups/cgroup-realtime.ts";
import type { HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { OwnLimits } from "./resources.ts";
import { limitsOf, type SpecificationParts } from "./specification.ts";

/** @throws Fault `invalid` naming what the kernel refuses. */
export async function applyOwnLimits(layout: CgroupLayout, group: string, limits: OwnLimits): Promise<void> {
  const { blockIO, realtime } = limits;
  if (blockIO !== undefined)
    await refusable(writeLimits(layout, group, limitWrites(versionOf(layout), { blockIO })));
  if (realtime !== undefined) await refusable(grantRealtime(layout, group, realtime));
}

/** Writes what differs, and no more: a limit that stays is not written again. @throws Fault `invalid`. */
export async function changeLimits(
  parts: Pick<SpecificationParts, "swap" | "cgroups">,
  group: string,
  before: HostConfig,
  after: HostConfig,
): Promise<void> {
  const kind = versionOf(parts.cgroups);
  const [was] = await limitsOf(before, parts);
  const [wanted, own] = await limitsOf(withoutPidsZero(after), parts);
  const written = new Set(limitWrites(kind, was).map(lineOf));
  const changed = limitWrites(kind, wanted).filter((each) => !written.has(lineOf(each)));
  await refusable(writeLimits(parts.cgroups, group, changed));
  const realtimeChanged =
    before.CpuRealtimeRuntime !== after.CpuRealtimeRuntime ||
    before.CpuRealtimePeriod !== after.CpuRealtimePeriod;
  if (own.realtime !== undefined && realtimeChanged)
    await refusable(grantRealtime(parts.cgroups, group, own.realtime));
}

function versionOf({ kind }: CgroupLayout): "v1" | "v2" {
  return kind === "v2" ? "v2" : "v1";
}

/** A limit of 0 processes is none: the kernel is told so where there was one. */
function withoutPidsZero(host: HostConfig): HostConfig {
  return host.PidsLimit === 0 ? { ...host, PidsLimit: -1 } : host;
}

function lineOf({ file, value }: LimitWrite): string {
  return `${file} ${value}`;
}

async function refusable(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (cause) {
    throw new Fault("invalid", `the kernel refuses the limit: ${Fault.from(cause).message}`, { cause });
  }
}
