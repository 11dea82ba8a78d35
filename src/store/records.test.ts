import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Records } from "./records.ts";

test("records that were closed can be opened by another process at once", async () => {
  const directory = mkdtempSync(join(tmpdir(), "wherry-records-"));
  try {
    const path = join(directory, "records.db");
    using records = Records.open(path);
    records.transaction(() => records.table("words").put("a", "b"));
    records.journal("happened").append(1n, "c");
    expect([...records.journal("happened").range()]).toHaveLength(1);
    records[Symbol.dispose]();
    const script = `import { Records } from ${JSON.stringify(join(import.meta.dir, "records.ts"))};
      using records = Records.open(${JSON.stringify(path)});
      process.stdout.write(JSON.stringify(records.table("words").entries()));`;
    const other = Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" });
    expect(await new Response(other.stdout).text()).toBe('[["a","b"]]');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
