import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountTmpfs, unmount } from "#kernel/mounts/mount.ts";
import { Records } from "./records.ts";

test("records can be changed and removed on a disk without space", () => {
  const directory = mkdtempSync(join(tmpdir(), "wherry-reserve-"));
  mountTmpfs(directory, { sizeBytes: 16 << 20 });
  try {
    using records = Records.open(join(directory, "records.db"));
    const table = records.table<string>("things");
    table.put("a", "x");
    expect(() => writeFileSync(join(directory, "full"), Buffer.alloc(32 << 20))).toThrow("ENOSPC");
    // More than a thousand pages of the log, so that it is folded in between.
    for (let round = 0; round < 1500; round++) table.put(`key ${round % 50}`, `${round} ${"y".repeat(500)}`);
    for (let round = 0; round < 50; round++) expect(table.delete(`key ${round}`)).toBe(true);
    expect(table.list()).toEqual(["x"]);
  } finally {
    unmount(directory, { detach: true });
    rmSync(directory, { recursive: true });
  }
});

test("a database that is full in the end says so, with the way out", () => {
  const directory = mkdtempSync(join(tmpdir(), "wherry-reserve-"));
  mountTmpfs(directory, { sizeBytes: 16 << 20 });
  try {
    using records = Records.open(join(directory, "records.db"));
    const table = records.table<string>("things");
    expect(() => {
      for (let round = 0; ; round++) table.put(`key ${round}`, "y".repeat(100_000));
    }).toThrow(/no space left on device.*remove what is not needed/);
  } finally {
    unmount(directory, { detach: true });
    rmSync(directory, { recursive: true });
  }
});

test("the reserve is made once and stays over a clean end", () => {
  const directory = mkdtempSync(join(tmpdir(), "wherry-reserve-"));
  const path = join(directory, "records.db");
  try {
    Records.open(path)[Symbol.dispose]();
    const { size } = statSync(path);
    expect(statSync(`${path}-wal`).size).toBeGreaterThanOrEqual(4 << 20);
    for (let round = 0; round < 3; round++) Records.open(path)[Symbol.dispose]();
    expect(statSync(path).size).toBe(size);
    using database = new Database(path);
    expect(database.query<{ name: string }, []>("SELECT name FROM sqlite_schema").all()).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
