import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Beneath } from "./beneath.ts";
import { type BytePath, bytePath } from "./byte-path.ts";
import { removeFlatAside, removeTreeAt, removingTree } from "./remove-tree.ts";

function tree(): { directory: string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), "wherry-remove-"));
  mkdirSync(join(directory, "kept"));
  writeFileSync(join(directory, "kept/file"), "x");
  mkdirSync(join(directory, "doomed/a/b/c"), { recursive: true });
  mkdirSync(join(directory, "doomed/empty"));
  for (const name of ["doomed/file", "doomed/a/file", "doomed/a/b/c/file"])
    writeFileSync(join(directory, name), "x");
  writeFileSync(Buffer.concat([Buffer.from(`${directory}/doomed/a/b/`), Buffer.from([0xff, 0xfe])]), "");
  mkdirSync(Buffer.concat([Buffer.from(`${directory}/doomed/`), Buffer.from([0xff])]));
  for (const name of ["doomed/link", "doomed/a/link"]) symlinkSync("../../kept", join(directory, name));
  symlinkSync(join(directory, "kept"), join(directory, "doomed/a/b/link"));
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
}

test("a tree is removed with its directories aside, and what its links lead to stays", async () => {
  using made = tree();
  using root = Beneath.open(made.directory);
  const [directory, name] = root.parent(bytePath("doomed"));
  let directories = 0;
  for (const flat of removingTree(directory, name)) {
    directories++;
    await removeFlatAside(flat);
  }
  expect(directories).toBe(6);
  expect(existsSync(join(made.directory, "doomed"))).toBe(false);
  expect(existsSync(join(made.directory, "kept/file"))).toBe(true);
});

test("a tree is removed at once; a file and nothing at all are, too", () => {
  using made = tree();
  using root = Beneath.open(made.directory);
  for (const each of ["doomed", "kept/file", "missing"]) removeTreeAt(...root.parent(each as BytePath));
  expect(existsSync(join(made.directory, "doomed"))).toBe(false);
  expect(existsSync(join(made.directory, "kept"))).toBe(true);
  expect(existsSync(join(made.directory, "kept/file"))).toBe(false);
});
