import { describe, expect, test } from "bun:test";
import {
  booleanFilter,
  formatFilters,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  matchesPrefix,
  parseFilters,
} from "./filters.ts";

describe("parseFilters()", () => {
  test("reads arrays, the old map of booleans, and nothing", () => {
    expect(parseFilters('{"label":["a","b=c","a"]}', ["label"])).toEqual({ label: ["a", "b=c"] });
    expect(parseFilters('{"label":{"a":true,"b=c":true,"d":false}}', ["label"])).toEqual({
      label: ["a", "b=c"],
    });
    for (const nothing of [undefined, null, "", "null", "{}"]) expect(parseFilters(nothing, [])).toEqual({});
    expect(parseFilters('{"label":null,"id":[]}', ["label", "id"])).toEqual({});
  });

  test("names the key it does not know", () => {
    expect(() => parseFilters('{"colour":["red"]}', ["label"])).toThrow(
      expect.objectContaining({ kind: "invalid", message: "invalid filter 'colour'" }),
    );
    expect(() => parseFilters('{"__proto__":["red"]}', ["label"])).toThrow("invalid filter '__proto__'");
  });

  test("refuses what is not a map of strings", () => {
    for (const text of ["{", "[]", "3", '"x"', '{"label":3}', '{"label":"x"}', '{"label":[1]}'])
      expect(() => parseFilters(text, ["label"])).toThrow("invalid filter");
  });

  test("reads back what formatFilters() writes", () => {
    const filters = { label: ["a=b"], name: ["x", "y"] };
    expect(parseFilters(formatFilters(filters), ["label", "name"])).toEqual(filters);
  });
});

test("matchesLabels() wants every label, with its value where one is given", () => {
  const labels = { a: "1", b: "" };
  expect(matchesLabels(undefined, labels)).toBe(true);
  expect(matchesLabels(["a"], labels)).toBe(true);
  expect(matchesLabels(["a=1", "b"], labels)).toBe(true);
  expect(matchesLabels(["a=2"], labels)).toBe(false);
  expect(matchesLabels(["a=1", "c"], labels)).toBe(false);
  expect(matchesLabels(["a"], null)).toBe(false);
  expect(matchesLabels(["toString"], labels)).toBe(false);
});

test("matchers hold when their key is not asked for", () => {
  expect(matchesExactly({}, "id", "x")).toBe(true);
  expect(matchesPrefix({}, "id", "x")).toBe(true);
  expect(matchesPattern({}, "id", "x")).toBe(true);
});

test("matchers take any one of the values", () => {
  expect(matchesExactly({ status: ["exited", "dead"] }, "status", "dead")).toBe(true);
  expect(matchesExactly({ status: ["exited"] }, "status", "dead")).toBe(false);
  expect(matchesPrefix({ id: ["ab", "cd"] }, "id", "cdef")).toBe(true);
  expect(matchesPrefix({ id: ["ab"] }, "id", "cdef")).toBe(false);
  expect(matchesPattern({ name: ["^wh.*y$"] }, "name", "wherry")).toBe(true);
  expect(matchesPattern({ name: ["err"] }, "name", "wherry")).toBe(true);
  expect(matchesPattern({ name: ["^err"] }, "name", "wherry")).toBe(false);
  expect(matchesPattern({ name: ["("] }, "name", "wherry")).toBe(false);
});

test("booleanFilter() takes one truth and refuses the rest", () => {
  expect(booleanFilter({}, "dangling", true)).toBe(true);
  expect(booleanFilter({ dangling: ["1"] }, "dangling", false)).toBe(true);
  expect(booleanFilter({ dangling: ["false"] }, "dangling", true)).toBe(false);
  expect(() => booleanFilter({ dangling: ["maybe"] }, "dangling", false)).toThrow(
    "invalid filter 'dangling=[maybe]'",
  );
  expect(() => booleanFilter({ dangling: ["1", "0"] }, "dangling", false)).toThrow("invalid filter");
});
