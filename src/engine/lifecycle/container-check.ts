/**
 * Containers: records against what the kernel and the disk have of them.
 * Promises: looks at a container in its turn, so that nothing that is just happening is taken for a fault; a repair looks
 * again before it changes anything, and touches no container that runs.
 */
import { existsSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { NetworkPart, RuntimePart } from "#engine/parts.ts";
import type { Finding } from "#spec/check.ts";
import type { ContainerRecord } from "#spec/container.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { ContainerIndex } from "./container-index.ts";
import type { Launch } from "./launch.ts";
import { isLive } from "./lifecycle.ts";
import type { Supervisor } from "./supervisor.ts";

export interface ContainerCheckParts {
  readonly index: ContainerIndex;
  readonly launch: Pick<Launch, "release">;
  readonly supervisor: Pick<Supervisor, "exclusively" | "happen">;
  readonly runtime: Pick<RuntimePart, "reality" | "list" | "delete">;
  readonly network: Pick<NetworkPart, "sandbox">;
  readonly layers: Pick<Layers, "isMounted" | "unmountStray" | "writables">;
  readonly containersRoot: string;
}

const containerId = /^[0-9a-f]{64}$/;

export async function* checkContainers(
  parts: ContainerCheckParts,
  looked: () => void,
): AsyncGenerator<Finding> {
  const { index, runtime, supervisor } = parts;
  for (const { id } of index.list()) {
    looked();
    const found = await supervisor.exclusively(id, async () => {
      const record = index.find(id);
      return record === undefined ? undefined : await findingOf(parts, record);
    });
    if (found !== undefined) yield found;
  }
  // Looked for twice: what is being removed is in one of the two lists alone.
  const before = new Set(await runtime.list());
  for (const id of await runtime.list())
    if (before.has(id) && index.find(id) === undefined)
      yield {
        area: "containers",
        problem: `something runs, or is left of a run, as container ${id}, which is not there`,
        remedy: "end it and give back what it has",
        repair: async () => {
          if (index.find(id) === undefined) await runtime.delete(id);
        },
      };
  for (const path of strayDirectories(parts))
    yield {
      area: "containers",
      problem: `${path} belongs to no container`,
      remedy: "remove it",
      repair: async () => await removeStrayDirectory(parts, path),
    };
}

async function findingOf(parts: ContainerCheckParts, record: ContainerRecord): Promise<Finding | undefined> {
  const { id, name } = record;
  if (isLive(record)) {
    const { state } = await parts.runtime.reality(id);
    if (state !== "absent") return undefined;
    return {
      area: "containers",
      problem: `container ${name} is recorded as running, and no process of it is there`,
      remedy: "record its end; its restart policy has its say",
      repair: async () => {
        const reality = await parts.runtime.reality(id);
        const guard = (now: ContainerRecord) => isLive(now) && reality.state === "absent";
        await parts.supervisor.happen(id, { kind: "engine-started", reality }, { guard });
      },
    };
  }
  if (!isAtRest(record)) return undefined;
  const left = await leftovers(parts, record);
  if (left.length === 0) return undefined;
  return {
    area: "containers",
    problem: `container ${name} does not run, and still has ${left.join(" and ")}`,
    remedy: "give that back",
    repair: async () =>
      await parts.supervisor.exclusively(id, async () => {
        const now = parts.index.find(id);
        if (now === undefined || !isAtRest(now)) return;
        await parts.launch.release(now);
        parts.layers.unmountStray(id);
      }),
  };
}

/** Nothing of it is running, or about to. */
function isAtRest(record: ContainerRecord): boolean {
  const { status } = record.observed;
  return record.desired === "stopped" && (status === "exited" || status === "created");
}

async function leftovers(parts: ContainerCheckParts, { id }: ContainerRecord): Promise<string[]> {
  const { state } = await parts.runtime.reality(id);
  return [
    ...(state === "absent" ? [] : ["a process or what is left of one"]),
    ...(parts.network.sandbox(id) === undefined ? [] : ["addresses and ports"]),
    ...(parts.layers.isMounted(id) ? ["its file system mounted"] : []),
  ];
}

/** What is kept between runs goes before the record does: these are of records that were lost. */
export function strayDirectories({
  containersRoot,
  index,
}: Pick<ContainerCheckParts, "containersRoot" | "index">): string[] {
  // It comes with the first container.
  if (!existsSync(containersRoot)) return [];
  return readdirSync(containersRoot)
    .filter((name) => containerId.test(name) && index.find(name) === undefined)
    .map((name) => join(containersRoot, name));
}

/** One of `strayDirectories`. Idempotent. */
export async function removeStrayDirectory(
  parts: Pick<ContainerCheckParts, "containersRoot" | "index">,
  path: string,
): Promise<void> {
  if (strayDirectories(parts).includes(path)) await rm(path, { recursive: true, force: true });
}
