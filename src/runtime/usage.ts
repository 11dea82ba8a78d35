/** What a run uses: its control group's numbers, the machine's, and those of its network interfaces, at one moment. */
import type { CgroupLayout } from "#kernel/cgroups/cgroup.ts";
import { groupUsage } from "#kernel/cgroups/cgroup-usage.ts";
import { cpuTime, interfaceUsage } from "#kernel/cgroups/machine-usage.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { UsageSample } from "#spec/usage.ts";

/** When it was read is the caller's to say. */
export type RunUsage = Omit<UsageSample, "readAt">;

/** @throws Fault `conflict` when the group is gone. */
export async function usageOf(
  layout: CgroupLayout,
  group: string,
  record: ContainerRecord,
): Promise<RunUsage> {
  const { id, host, observed } = record;
  // The machine's own interfaces are no part of a container.
  const networks = host.NetworkMode === "host" ? {} : interfaceUsage(observed.pid);
  try {
    const [own, machine] = await Promise.all([groupUsage(layout, group), cpuTime()]);
    return { ...own, cpu: { ...own.cpu, ...machine }, networks: await networks };
  } catch (cause) {
    throw new Fault("conflict", `container ${id} is not running`, { cause });
  }
}
