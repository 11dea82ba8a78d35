import { afterAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { lstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack } from "tar-stream";
import { unpackTar } from "#store/trees/unpack.ts";
import { ContentHashes } from "./content-hashes.ts";

const directory = mkdtempSync(join(tmpdir(), "wherry-hashes-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("a file's note is what it holds at last, whatever the archive wrote before and through which name", async () => {
  const tar = pack();
  const large = Buffer.alloc(300_000, "large");
  tar.entry({ name: "large" }, large);
  tar.entry({ name: "replaced" }, "first");
  tar.entry({ name: "replaced" }, "second");
  tar.entry({ name: "here/file" }, "by its name");
  tar.entry({ name: "there", type: "symlink", linkname: "here" });
  tar.entry({ name: "there/file" }, "by another");
  tar.entry({ name: "linked", type: "link", linkname: "large" });
  tar.entry({ name: "was-file" }, "gone");
  tar.entry({ name: "was-file", type: "symlink", linkname: "large" });
  tar.entry({ name: "empty" }, "");
  tar.finalize();
  const hashes = new ContentHashes();
  await unpackTar(tar as AsyncIterable<Uint8Array>, directory, { hashes });
  for (const name of ["large", "replaced", "here/file", "linked", "empty"]) {
    const path = join(directory, name);
    const held = createHash("sha256").update(readFileSync(path)).digest("hex");
    expect([name, hashes.of(lstatSync(path))]).toEqual([name, held]);
  }
  expect(readFileSync(join(directory, "here/file"), "utf8")).toBe("by another");
  expect(hashes.of({ ino: lstatSync(directory).ino })).toBeUndefined();
});
