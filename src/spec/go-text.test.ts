import { describe, expect, test } from "bun:test";
import { cleanPath, hasWildcards, isPattern, pathMatcher } from "./go-text.ts";

describe("pathMatcher() follows filepath.Match", () => {
  const cases: [pattern: string, path: string, matches: boolean][] = [
    ["abc", "abc", true],
    ["*", "abc", true],
    ["*c", "abc", true],
    ["a*", "a/b", false],
    ["a*/b", "abc/b", true],
    ["a*/b", "a/c/b", false],
    ["a?c", "abc", true],
    ["a?c", "a/c", false],
    ["ab[c]", "abc", true],
    ["ab[b-d]", "abc", true],
    ["ab[^b-d]", "abc", false],
    ["ab[^e-g]", "abc", true],
    ["a\\*b", "a*b", true],
    ["a\\*b", "ab", false],
    ["[\\]a]", "]", true],
    ["[\\-x]", "-", true],
    ["[x\\-]", "z", false],
    ["[]a]", "]", false],
    ["[-]", "-", false],
    ["[", "a", false],
    ["a\\", "a", false],
    ["a+(b)", "a+(b)", true],
    ["日本?", "日本語", true],
    ["*.txt", "a.txt.bak", false],
  ];
  for (const [pattern, path, matches] of cases)
    test(`${pattern} ${matches ? "matches" : "does not match"} ${path}`, () =>
      expect(pathMatcher(pattern)(path)).toBe(matches));
});

test("isPattern() is what Match takes", () => {
  expect(["a", "[a]", "[^a]", "a[", "[]a]", "a\\"].map(isPattern)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

test("hasWildcards() ignores escaped ones", () => {
  expect(hasWildcards("a*")).toBe(true);
  expect(hasWildcards("a\\*")).toBe(false);
  expect(hasWildcards("a[b")).toBe(true);
});

test("cleanPath() is filepath.Clean", () => {
  expect(["", ".", "/", "a/../..", "/a/../..", "a//b/./c/", "/../a"].map(cleanPath)).toEqual([
    ".",
    ".",
    "/",
    "..",
    "/",
    "a/b/c",
    "/a",
  ]);
});
