import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytePath } from "./byte-path.ts";
import { chmodAt, closeDescriptor, openAt, openFlag } from "./files-at.ts";

test("chmodAt() changes what has the name; a link there is refused as one, and what it leads to stays", () => {
  const path = mkdtempSync(join(tmpdir(), "wherry-files-"));
  const directory = openAt(-100, bytePath(path), openFlag.path);
  try {
    writeFileSync(join(path, "file"), "", { mode: 0o600 });
    symlinkSync("file", join(path, "link"));
    chmodAt(directory, bytePath("file"), 0o640);
    expect(() => chmodAt(directory, bytePath("link"), 0o777)).toThrow(
      expect.objectContaining({ kind: "invalid", code: "ELOOP" }),
    );
    expect(statSync(join(path, "file")).mode & 0o777).toBe(0o640);
  } finally {
    closeDescriptor(directory);
    rmSync(path, { recursive: true });
  }
});
