import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unmount } from "#kernel/mounts/mount.ts";
import { mountFileSystem } from "#kernel/mounts/mount-file-system.ts";
import { Outgoing } from "./outgoing.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "wherry-outgoing-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function tree(directory: string, name: string): string {
  const path = join(directory, name);
  mkdirSync(join(path, "files", "deep"), { recursive: true });
  for (const each of ["a", "b"]) writeFileSync(join(path, "files", "deep", each), "x".repeat(100_000));
  return path;
}

test("what is taken is gone from its place at once, and from the disk a little later", async () => {
  const going = join(root, "going");
  mkdirSync(going);
  const outgoing = new Outgoing(going, (_, thrown) => {
    throw thrown;
  });
  const paths = ["one", "two", "three"].map((name) => tree(root, name));
  await Promise.all(paths.map(async (path) => await outgoing.take(path)));
  expect(paths.filter((path) => existsSync(path))).toEqual([]);
  await outgoing.settled();
  expect(readdirSync(going)).toEqual([]);
  await expect(outgoing.take(join(root, "nothing"))).rejects.toThrow("ENOENT");
});

test("on a disk that is nearly full there is room when the removal answers", async () => {
  const disk = join(root, "disk");
  mkdirSync(disk);
  mountFileSystem({ device: "tmpfs", target: disk, type: "tmpfs", options: "size=2m" });
  try {
    const going = join(disk, "going");
    mkdirSync(going);
    const outgoing = new Outgoing(going, () => undefined);
    const path = tree(disk, "one");
    writeFileSync(join(disk, "rest"), Buffer.alloc(1_800_000));
    await outgoing.take(path);
    expect(readdirSync(going)).toEqual([]);
  } finally {
    unmount(disk, { detach: true });
  }
});
