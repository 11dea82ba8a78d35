/** Limits and restart policy of a container that exists: what a change makes of them, and how it comes about. */

import type { Emit } from "#engine/emit.ts";
import { containerAttributes } from "#engine/event-attributes.ts";
import type { ContainerIndex } from "#engine/lifecycle/container-index.ts";
import { isLive } from "#engine/lifecycle/lifecycle.ts";
import type { Supervisor } from "#engine/lifecycle/supervisor.ts";
import type { RuntimePart, Waiting } from "#engine/parts.ts";
import type { ContainerRecord, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

export interface UpdateParts {
  readonly index: ContainerIndex;
  readonly supervisor: Pick<Supervisor, "exclusively">;
  readonly runtime: Pick<RuntimePart, "update">;
  readonly emit: Emit;
}

/**
 * Records the change, and writes it through to the processes when the container runs; where the kernel refuses, the
 * record is as before.
 * @throws Fault `conflict` for changes that contradict what is set, `invalid` for what the kernel refuses.
 */
export async function updateContainer(
  parts: UpdateParts,
  reference: string,
  changes: HostConfig,
  o: Waiting,
): Promise<void> {
  const { index, supervisor, runtime } = parts;
  const { id } = index.get(reference);
  const about = (thrown: unknown) => {
    const { kind, message } = Fault.from(thrown);
    return new Fault(kind, `Cannot update container ${id}: ${message}`, { cause: thrown });
  };
  await supervisor.exclusively(id, async () => {
    o.signal.throwIfAborted();
    const before = index.get(id);
    try {
      if (before.desired === "removed")
        throw new Fault("conflict", 'container is marked for removal and cannot be "update"');
      const after: ContainerRecord = { ...before, host: updatedHost(before.host, changes) };
      index.put(after);
      if (isLive(before))
        await runtime.update(id, before.host, after.host).catch((thrown: unknown) => {
          index.put({ ...index.get(id), host: before.host });
          throw thrown;
        });
    } catch (thrown) {
      throw about(thrown);
    }
  });
  const record = index.get(id);
  parts.emit("container", "update", id, containerAttributes(record));
}

/** Pure. Fields that are absent, empty or zero stay. @throws Fault `conflict` in dockerd's words. */
export function updatedHost(current: HostConfig, changes: HostConfig): HostConfig {
  checkCpu(current, changes);
  const { Memory: memory = 0, MemorySwap: swap = 0 } = changes;
  if (memory > 0 && swap === 0 && memory > (current.MemorySwap ?? 0) && current.MemorySwap !== -1)
    throw new Fault(
      "conflict",
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    );
  const { RestartPolicy, PidsLimit, ...limits } = changes;
  const given = Object.entries(limits).filter(([, value]) => isGiven(value));
  const policy = RestartPolicy?.Name;
  if (policy && policy !== "no" && current.AutoRemove === true)
    throw new Fault(
      "conflict",
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
  return {
    ...current,
    ...Object.fromEntries(given),
    ...(PidsLimit !== undefined && PidsLimit !== null && { PidsLimit }),
    ...(policy && {
      RestartPolicy: { Name: policy, MaximumRetryCount: RestartPolicy?.MaximumRetryCount ?? 0 },
    }),
  };
}

function isGiven(value: unknown): boolean {
  return Array.isArray(value) || Boolean(value);
}

function checkCpu(current: HostConfig, changes: HostConfig): void {
  const set = (value: number | undefined) => (value ?? 0) > 0;
  const clash = (what: string, other: string) =>
    new Fault("conflict", `Conflicting options: ${what} cannot be updated as ${other} has already been set`);
  if (set(changes.NanoCpus) && set(current.CpuPeriod)) throw clash("Nano CPUs", "CPU Period");
  if (set(changes.NanoCpus) && set(current.CpuQuota)) throw clash("Nano CPUs", "CPU Quota");
  if (set(changes.CpuPeriod) && set(current.NanoCpus)) throw clash("CPU Period", "NanoCPUs");
  if (set(changes.CpuQuota) && set(current.NanoCpus)) throw clash("CPU Quota", "NanoCPUs");
}
