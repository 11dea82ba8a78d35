/**
 * Real-time CPU time of groups, version 1 only (kernel documentation: scheduler/sched-rt-group.rst). A group's share comes
 * out of its parent's, which has none unless it was given some.
 */
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { CgroupLayout } from "./cgroup.ts";

export interface RealtimeShare {
  /** Microseconds in each period. */
  readonly runtime: number;
  /** Microseconds; the kernel's is one second. */
  readonly period: number;
}

const files = { runtime: "cpu.rt_runtime_us", period: "cpu.rt_period_us" } as const;

/** Gives `group` its share, and its ancestors what all that is below them needs. @throws when the machine has none left. */
export async function grantRealtime(
  layout: CgroupLayout,
  group: string,
  share: RealtimeShare,
): Promise<void> {
  const mount = layout.hierarchies.get("cpu");
  if (mount === undefined || !existsSync(join(mount, files.runtime)))
    throw new Error("the kernel has no real-time shares for groups");
  const own = join(mount, group);
  const ancestors: { path: string; fraction: number }[] = [];
  let needed = share.runtime / share.period;
  for (let path = own; dirname(path).length > mount.length; path = dirname(path)) {
    needed += await fractionBelow(dirname(path), path);
    ancestors.unshift({ path: dirname(path), fraction: needed });
  }
  for (const { path, fraction } of ancestors) {
    const runtime = Math.ceil(fraction * (await numberIn(path, files.period)));
    if (runtime > (await numberIn(path, files.runtime)))
      await writeFile(join(path, files.runtime), `${runtime}`);
  }
  await writeFile(join(own, files.period), `${share.period}`);
  await writeFile(join(own, files.runtime), `${share.runtime}`);
}

/** The part of all CPU time that the groups below `path` have, but for one. */
async function fractionBelow(path: string, but: string): Promise<number> {
  let fraction = 0;
  for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
    const child = join(path, entry.name);
    if (!entry.isDirectory() || child === but) continue;
    fraction += (await numberIn(child, files.runtime)) / Math.max(1, await numberIn(child, files.period));
  }
  return fraction;
}

async function numberIn(path: string, file: string): Promise<number> {
  return Number(await readFile(join(path, file), "latin1").catch(() => "0"));
}
