import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spreadChildren } from "./spread.ts";

/** linux/magic.h; ext2 and ext3 have the same. */
const ext4 = 0xef53;

function flagsOf(directory: string): string {
  return spawnSync("lsattr", ["-d", directory], { encoding: "utf8" }).stdout.split(" ")[0] ?? "";
}

for (const top of [tmpdir(), "/dev/shm"]) {
  const marks = statfsSync(top).type === ext4;
  test(`children of a directory below ${top} are ${marks ? "spread" : "left to its file system"}`, () => {
    const directory = mkdtempSync(join(top, "wherry-spread-"));
    try {
      spreadChildren(directory);
      spreadChildren(directory);
      expect(flagsOf(directory).includes("T")).toBe(marks);
      mkdirSync(join(directory, "child"));
      expect(readdirSync(directory)).toEqual(["child"]);
      expect(flagsOf(join(directory, "child"))).not.toContain("T");
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

test("where nobody listens it does nothing", () => {
  for (const path of ["/proc", "/sys"]) expect(() => spreadChildren(path)).not.toThrow();
});
