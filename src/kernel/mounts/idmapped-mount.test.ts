import { afterEach, beforeEach, expect, test } from "bun:test";
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountIdMapped } from "./idmapped-mount.ts";
import { unmount } from "./mount.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-idmap-"));
});
afterEach(() => {
  unmount(join(directory, "target"));
  rmSync(directory, { recursive: true });
});

test("files have other owners through the mount, and those of the disk on the disk", async () => {
  const [source, target] = [join(directory, "source"), join(directory, "target")];
  for (const path of [source, target]) mkdirSync(path);
  writeFileSync(join(source, "theirs"), "");
  for (const path of [source, join(source, "theirs")]) chownSync(path, 1000, 1001);
  const map = { uids: [{ disk: 1000, shown: 0, count: 1 }], gids: [{ disk: 1001, shown: 0, count: 1 }] };
  const descriptors = () => readdirSync("/proc/self/fd").length;
  await mountIdMapped(source, target, map);
  const after = descriptors();
  for (let times = 0; times < 4; times++) {
    unmount(target);
    await mountIdMapped(source, target, map);
  }
  // The pipe of a child that ended may still be about to be closed.
  expect(descriptors()).toBeLessThanOrEqual(after + 1);
  expect(statSync(join(target, "theirs"))).toMatchObject({ uid: 0, gid: 0 });
  writeFileSync(join(target, "new"), "");
  expect(statSync(join(source, "new"))).toMatchObject({ uid: 1000, gid: 1001 });
  // Nobody on disk is shown as this one.
  expect(() => chownSync(join(target, "new"), 5, 5)).toThrow("EOVERFLOW");
});

test("maps that cannot be leave nothing mounted", async () => {
  const range = { disk: 0, shown: 0, count: 10 };
  const overlapping = { uids: [range, range], gids: [range] };
  mkdirSync(join(directory, "target"));
  await expect(mountIdMapped(directory, join(directory, "target"), overlapping)).rejects.toThrow();
  expect(unmount(join(directory, "target"))).toBe(false);
});
