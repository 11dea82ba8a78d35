import { expect, test } from "bun:test";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountTmpfs, unmount } from "./mount.ts";
import { mountFileSystem } from "./mount-file-system.ts";
import { mountRestrictions } from "./mount-flags.ts";

test("what a mount forbids, and a bind of it", () => {
  const directory = mkdtempSync(join(tmpdir(), "wherry-flags-"));
  try {
    mountTmpfs(directory, { noSuid: true, noExec: true });
    expect(mountRestrictions(directory)).toEqual(["nosuid", "noexec"]);
    mountFileSystem({ device: directory, type: "none", options: "bind,ro,nodev", target: directory });
    expect(mountRestrictions(directory)).toContain("ro");
  } finally {
    while (unmount(directory));
    rmdirSync(directory);
  }
  expect(() => mountRestrictions(directory)).toThrow("ENOENT");
});
