import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { climbsOut, resolveInRoot } from "./rooted-path.ts";

const root = mkdtempSync(join(tmpdir(), "wherry-rooted-"));
afterAll(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, "a/b"), { recursive: true });
writeFileSync(join(root, "a/file"), "");
symlinkSync("/a", join(root, "absolute"));
symlinkSync("../../../../../etc/passwd", join(root, "a/climbing"));
symlinkSync("b/../file", join(root, "a/relative"));
symlinkSync("circle", join(root, "circle"));

test("resolveInRoot() resolves links as a chroot would", () => {
  expect(resolveInRoot(root, "absolute/file")).toBe(join(root, "a/file"));
  expect(resolveInRoot(root, "/absolute/relative")).toBe(join(root, "a/file"));
  expect(resolveInRoot(root, "a/climbing")).toBe(join(root, "etc/passwd"));
  expect(resolveInRoot(root, "../../a")).toBe(join(root, "a"));
  expect(resolveInRoot(root, "/")).toBe(root);
});

test("resolveInRoot() appends what does not exist", () => {
  expect(resolveInRoot(root, "absolute/new/er")).toBe(join(root, "a/new/er"));
});

test("resolveInRoot() refuses a circle", () => {
  expect(() => resolveInRoot(root, "circle")).toThrow("too many symbolic links in circle");
});

test("climbsOut() looks at the text alone", () => {
  expect(["../x", "a/../../x", "/../x", ".."].map(climbsOut)).toEqual([true, true, true, true]);
  expect(["x", "a/../x", "..x", "/x"].map(climbsOut)).toEqual([false, false, false, false]);
});
