import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMountPoint, mountTmpfs, unmount } from "./mount.ts";
import { viewWithout } from "./mount-namespace.ts";

const directory = mkdtempSync(join(tmpdir(), "wherry-view-"));
const inner = join(directory, "inner");
beforeAll(() => {
  mountTmpfs(directory);
  mkdirSync(inner);
  mountTmpfs(inner);
});
afterAll(() => {
  unmount(inner);
  unmount(directory);
  rmSync(directory, { recursive: true });
});

test("a view lacks the one mount, which stays where it is", () => {
  const cwd = process.cwd();
  using view = viewWithout(inner);
  const seen = execFileSync("nsenter", [`-m${view.path}`, "cat", "/proc/self/mounts"], { encoding: "utf8" });
  expect(seen).toContain(` ${directory} tmpfs`);
  expect(seen).not.toContain(` ${inner} tmpfs`);
  expect(isMountPoint(inner)).toBe(true);
  expect(process.cwd()).toBe(cwd);
});

test("no view is made of what cannot be hidden, and the caller stays where it is", () => {
  expect(() => viewWithout(join(directory, "absent", "mount"))).toThrow("ENOENT");
  expect(() => viewWithout(join(directory, "plain"))).toThrow("is no mount");
  expect(isMountPoint(inner)).toBe(true);
});

test("a view may be let go of twice", () => {
  const view = viewWithout(inner);
  view[Symbol.dispose]();
  expect(() => view[Symbol.dispose]()).not.toThrow();
});

test("views can be made while threads begin", async () => {
  const workers = Array.from({ length: 8 }, () => new Worker("data:text/javascript,postMessage(1)"));
  const own = readlinkSync("/proc/thread-self/ns/mnt");
  for (let round = 0; round < 200; round++) {
    using view = viewWithout(inner);
    expect(view.path).not.toBe("");
    expect(readlinkSync("/proc/thread-self/ns/mnt")).toBe(own);
    if (round % 20 === 0) await Bun.sleep(1);
  }
  for (const worker of workers) worker.terminate();
});
