/**
 * An engine that comes back: what the records say is compared with what is really there, and what differs is put right.
 * Promises: containers that run go on; what belongs to no container goes; one container's trouble stops no other.
 */

import type { LayerPart, NetworkPart, RuntimePart, VolumePart } from "#engine/parts.ts";
import type { Reality } from "#engine/transition.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { removeStrayDirectory, strayDirectories } from "./container-check.ts";
import type { ContainerIndex } from "./container-index.ts";
import { containerOfLayer } from "./image-mounts.ts";
import { isLive } from "./lifecycle.ts";
import type { Supervisor } from "./supervisor.ts";

export interface BootParts {
  readonly index: ContainerIndex;
  readonly supervisor: Pick<Supervisor, "happen" | "beginRestarts">;
  readonly runtime: Pick<RuntimePart, "reality" | "list" | "delete" | "endProbes">;
  readonly network: Pick<NetworkPart, "prepare">;
  readonly volumes: Pick<VolumePart, "hold" | "sweep">;
  readonly layers: Pick<LayerPart, "removeWritable" | "unmount"> & {
    writables(): { readonly id: string }[];
  };
  readonly containersRoot: string;
  readonly report: (fault: Fault) => void;
}

/** Containers looked at side by side: each may cost a child process. */
const width = 8;

/** What a volume of a running container may take to be found mounted; a plugin may have to be asked. */
const holdMillisecondsMax = 10_000;

export async function comeBack(parts: BootParts): Promise<void> {
  const { index, runtime, network, volumes } = parts;
  const records = index.list();
  const known = new Set(records.map(({ id }) => id as string));
  const strangers = (await runtime.list()).filter((id) => !known.has(id));
  await inParallel(strangers, async (id) => await guarded(parts, async () => await runtime.delete(id)));
  await guarded(parts, async () => await runtime.endProbes());
  const realities = new Map<string, Reality>();
  await inParallel(records, async (record) => {
    await guarded(parts, async () => {
      realities.set(record.id, await realityOf(runtime, record));
    });
  });
  const live = [...realities].filter(([, { state }]) => state === "running" || state === "paused");
  const running = new Set(live.map(([id]) => id));
  await network.prepare(running);
  const held = records.filter(({ id }) => running.has(id));
  await inParallel(held, async ({ id, mounts }) => {
    await guarded(parts, async () => {
      await volumes.hold(id, mounts, AbortSignal.timeout(holdMillisecondsMax));
    });
  });
  await guarded(parts, async () => await volumes.sweep(running));
  await inParallel(records, async ({ id }) => {
    const reality = realities.get(id);
    if (reality === undefined) return;
    await guarded(parts, async () => {
      await parts.supervisor.happen(id, { kind: "engine-started", reality });
    });
  });
  parts.supervisor.beginRestarts();
  await removeStrayLayers(parts);
  for (const path of strayDirectories(parts))
    await guarded(parts, async () => await removeStrayDirectory(parts, path));
}

/** Containers at rest are not asked about: only the runtime's own list could know more of them. */
async function realityOf(runtime: BootParts["runtime"], record: ContainerRecord): Promise<Reality> {
  const atRest = !isLive(record) && record.desired === "stopped" && record.observed.status !== "restarting";
  return atRest ? { state: "absent" } : await runtime.reality(record.id);
}

/** Writable layers named like containers that are none. Those of other owners have other names. */
async function removeStrayLayers(parts: BootParts): Promise<void> {
  for (const { id } of parts.layers.writables()) {
    const container = containerOfLayer(id);
    if (container !== undefined && parts.index.find(container) === undefined)
      await guarded(parts, async () => await parts.layers.removeWritable(id));
  }
}

async function guarded(parts: BootParts, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    parts.report(Fault.from(thrown));
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
