/**
 * Control groups, in the three ways machines have them.
 * Promises: removing is idempotent and finds the group in every hierarchy. Never: mounts, or changes a group it did not
 * make. (cgroups(7); kernel documentation, admin-guide/cgroup-v2.rst.)
 */
import { existsSync, readFileSync } from "node:fs";
import { readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseMountInfo } from "#kernel/mounts/mount-info.ts";

export interface CgroupLayout {
  /** `hybrid`: controllers are in version 1, some hierarchy of version 2 is mounted beside them. */
  readonly kind: "v2" | "v1" | "hybrid";
  /** Mount points of the hierarchies, by controller; version 2 under the name `unified`. */
  readonly hierarchies: ReadonlyMap<string, string>;
}

/** A fresh look at what is mounted. */
export function detectCgroups(mountInfo = readFileSync("/proc/self/mountinfo", "latin1")): CgroupLayout {
  const hierarchies = new Map<string, string>();
  for (const { type, target, superOptions } of parseMountInfo(mountInfo)) {
    if (type === "cgroup2") hierarchies.set("unified", target);
    if (type !== "cgroup") continue;
    const named = superOptions.find((option) => option.startsWith("name="));
    const controllers = named === undefined ? superOptions.filter(isController) : [named.slice(5)];
    for (const controller of controllers) hierarchies.set(controller, target);
  }
  if (!hierarchies.has("memory") && !hierarchies.has("cpu")) return { kind: "v2", hierarchies };
  return { kind: hierarchies.has("unified") ? "hybrid" : "v1", hierarchies };
}

const controllers =
  "cpu cpuacct cpuset memory devices freezer net_cls blkio perf_event net_prio hugetlb pids rdma";

function isController(option: string): boolean {
  return controllers.split(" ").includes(option);
}

/** Host paths of a group in every hierarchy, whether they exist or not; each mount once. */
export function groupPaths(layout: CgroupLayout, group: string): string[] {
  return [...new Set(layout.hierarchies.values())].map((mount) => join(mount, group));
}

/** Where the kernel tells of a group's memory. Undefined without a memory controller. */
function memoryPath(layout: CgroupLayout, group: string): string | undefined {
  const mount = layout.hierarchies.get(layout.kind === "v2" ? "unified" : "memory");
  return mount === undefined ? undefined : join(mount, group);
}

/** How often the kernel killed a process of the group for want of memory; 0 when nobody knows. */
export async function oomKills(layout: CgroupLayout, group: string): Promise<number> {
  const path = memoryPath(layout, group);
  if (path === undefined) return 0;
  const file = layout.kind === "v2" ? "memory.events" : "memory.oom_control";
  const text = await readFile(join(path, file), "latin1").catch(() => "");
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}

/** Pids of all processes in the group and below it. */
export async function processesOf(layout: CgroupLayout, group: string): Promise<number[]> {
  const pids = new Set<number>();
  // Every process is in every hierarchy: one of them tells.
  const { hierarchies } = layout;
  const mount = (layout.kind === "v2" ? undefined : hierarchies.get("pids")) ?? hierarchies.get("unified");
  for (const directory of await treeOf(join(mount ?? "/sys/fs/cgroup/memory", group))) {
    const text = await readFile(join(directory, "cgroup.procs"), "latin1").catch(() => "");
    for (const line of text.split("\n")) if (line !== "" && line !== "0") pids.add(Number(line));
  }
  return [...pids];
}

/** A group and those below it, the deepest first. */
async function treeOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  const below: string[] = [];
  for (const entry of entries) if (entry.isDirectory()) below.push(...(await treeOf(join(path, entry.name))));
  return existsSync(path) ? [...below, path] : below;
}

/** Stops or continues all processes of a group. @throws when there is no freezer for it. */
export async function setFrozen(layout: CgroupLayout, group: string, frozen: boolean): Promise<void> {
  const v2 = layout.kind === "v2";
  const mount = layout.hierarchies.get(v2 ? "unified" : "freezer") ?? "/sys/fs/cgroup";
  const path = join(mount, group);
  if (v2) await writeFile(join(path, "cgroup.freeze"), frozen ? "1" : "0");
  else await writeFile(join(path, "freezer.state"), frozen ? "FROZEN" : "THAWED");
}

/** True while the group's processes are stopped. */
export async function isFrozen(layout: CgroupLayout, group: string): Promise<boolean> {
  const v2 = layout.kind === "v2";
  const mount = layout.hierarchies.get(v2 ? "unified" : "freezer") ?? "/sys/fs/cgroup";
  const file = join(mount, group, v2 ? "cgroup.freeze" : "freezer.state");
  const text = (await readFile(file, "latin1").catch(() => "")).trim();
  return v2 ? text === "1" : text === "FROZEN" || text === "FREEZING";
}

/** Kernel waits for the last processes to leave: asked again this often, this far apart. */
const removeAttemptsMax = 50;
const removePauseMs = 10;

/** Removes a group whose processes have ended, everywhere. Idempotent. @throws `EBUSY` while processes are left. */
export async function removeGroup(layout: CgroupLayout, group: string): Promise<void> {
  await Promise.all(groupPaths(layout, group).map(removeTree));
}

async function removeTree(path: string): Promise<void> {
  if (!existsSync(path)) return;
  for (let attempt = 1; ; attempt++) {
    try {
      for (const directory of await treeOf(path)) await rmdir(directory);
      return;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : "";
      if (code === "ENOENT") return;
      if (code !== "EBUSY" || attempt === removeAttemptsMax) throw error;
      await new Promise((resolve) => setTimeout(resolve, removePauseMs));
    }
  }
}
