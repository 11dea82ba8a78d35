import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytePath } from "#kernel/files/byte-path.ts";
import { openAt, openFlag } from "#kernel/files/files-at.ts";
import { MountedTree } from "#kernel/files/mounted-tree.ts";
import { describePath, statTreePath } from "./tree-path.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-path-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** What a link in the tree is said to lead to. */
function targetOf(link: string): string | undefined {
  const root = openAt(-100, bytePath(directory), openFlag.path | openFlag.directory);
  using tree = new MountedTree(root, { parts: [] });
  const seen = statTreePath(tree, link);
  return seen === undefined ? undefined : describePath(seen).linkTarget;
}

test.each([
  ["/there", "/there"],
  ["/no/where", "/no/where"],
  ["no/where", "/sub/no/where"],
  ["../no", "/no"],
  ["../../../no", "/no"],
  ["../there/x", "/there/x"],
  ["via/no", "/there/no"],
])("a link in /sub that says %s leads to %s", (said, target) => {
  mkdirSync(join(directory, "there"));
  mkdirSync(join(directory, "sub"));
  symlinkSync("../there", join(directory, "sub/via"));
  symlinkSync(said, join(directory, "sub/link"));
  expect(targetOf("/sub/link")).toBe(target);
});
