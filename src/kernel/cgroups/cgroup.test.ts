import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { detectCgroups, groupPaths, isFrozen, processesOf, removeGroup, setFrozen } from "./cgroup.ts";

const line = (target: string, type: string, options: string) =>
  `30 20 0:26 / ${target} rw - ${type} ${type} rw,${options}\n`;

test("tells the three layouts apart", () => {
  const v2 = line("/sys/fs/cgroup", "cgroup2", "nsdelegate");
  expect(detectCgroups(v2).kind).toBe("v2");
  const v1 = line("/sys/fs/cgroup/memory", "cgroup", "memory") + line("/c", "cgroup", "cpu,cpuacct");
  expect(detectCgroups(v1).kind).toBe("v1");
  expect(detectCgroups(v1).hierarchies.get("cpuacct")).toBe("/c");
  const hybrid = v1 + line("/sys/fs/cgroup/unified", "cgroup2", "") + line("/s", "cgroup", "name=systemd");
  expect(detectCgroups(hybrid).kind).toBe("hybrid");
  expect(groupPaths(detectCgroups(hybrid), "a/b")).toEqual([
    "/sys/fs/cgroup/memory/a/b",
    "/c/a/b",
    "/sys/fs/cgroup/unified/a/b",
    "/s/a/b",
  ]);
});

test("a group's processes are found, stopped, continued, and the group goes with them", async () => {
  const layout = detectCgroups();
  const group = `wherry-test-${process.pid}`;
  const [pids, freezer] = layout.kind === "v2" ? ["unified", "unified"] : ["pids", "freezer"];
  const child = spawn("sleep", ["60"]);
  try {
    for (const name of new Set([pids, freezer])) {
      const path = join(layout.hierarchies.get(name) ?? "", group);
      mkdirSync(join(path, "below"), { recursive: true });
      writeFileSync(join(path, "below", "cgroup.procs"), `${child.pid}`);
    }
    expect(await processesOf(layout, group)).toEqual([child.pid ?? 0]);
    await setFrozen(layout, group, true);
    expect(await isFrozen(layout, group)).toBe(true);
    await setFrozen(layout, group, false);
    expect(await isFrozen(layout, group)).toBe(false);
  } finally {
    child.kill("SIGKILL");
    await removeGroup(layout, group);
  }
  expect(groupPaths(layout, group).some((path) => existsSync(path))).toBe(false);
  await removeGroup(layout, group);
});
