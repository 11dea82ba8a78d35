import { describe, expect, test } from "bun:test";
import { formatGoDuration } from "#spec/go-duration.ts";
import { cleanPath, goQuote, goQuoteList, hasWildcards, parseGoDuration, pathMatcher } from "./go-text.ts";

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

test("durations are read and printed as Go does", () => {
  expect(parseGoDuration("1h1m1.5s")).toBe(3661.5e9);
  expect(parseGoDuration("0")).toBe(0);
  expect(["1m30s", "1.5s", "20ms", "2h0m0s"].map((text) => formatGoDuration(parseGoDuration(text)))).toEqual([
    "1m30s",
    "1.5s",
    "20ms",
    "2h0m0s",
  ]);
  expect(() => parseGoDuration("5")).toThrow('time: missing unit in duration "5"');
  expect(() => parseGoDuration("5x")).toThrow('time: unknown unit "x" in duration "5x"');
  expect(() => parseGoDuration("x")).toThrow('time: invalid duration "x"');
});

test("goQuote() escapes as %q does", () => {
  expect(goQuote('a"b\\\n\u001b')).toBe('"a\\"b\\\\\\n\\x1b"');
  expect(goQuoteList(["a b", "c"])).toBe('["a b" "c"]');
});
