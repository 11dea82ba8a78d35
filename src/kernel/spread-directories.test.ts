import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spreadDirectories } from "./spread-directories.ts";

test("a directory can be told that what is in it belongs apart, again and again, also where nobody listens", () => {
  const directory = mkdtempSync(join(tmpdir(), "wherry-spread-"));
  try {
    for (const path of [directory, directory, "/proc", "/sys"]) spreadDirectories(path);
    const listed = Bun.spawnSync(["lsattr", "-d", directory]);
    // Only ext4 keeps it.
    const onExt4 = Bun.spawnSync(["stat", "-f", "-c", "%T", directory]).stdout.toString().includes("ext");
    expect(/T/.test(listed.stdout.toString().split(" ")[0] ?? "")).toBe(onExt4);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
