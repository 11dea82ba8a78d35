import { expect, test } from "bun:test";
import { formatGoDuration, goDurationOrNone, humanDuration, parseGoDuration } from "./go-duration.ts";

test.each([
  [0.9, "Less than a second"],
  [1.9, "1 second"],
  [59.9, "59 seconds"],
  [60, "About a minute"],
  [3599, "59 minutes"],
  [3600, "About an hour"],
  [5400, "2 hours"],
  [47 * 3600, "47 hours"],
  [48 * 3600, "2 days"],
  [15 * 86400, "2 weeks"],
  [70 * 86400, "2 months"],
  [800 * 86400, "2 years"],
])("%d seconds read %p", (seconds, text) => {
  expect(humanDuration(seconds)).toBe(text);
});

test.each([
  ["1h30m", 5400e9],
  ["90s", 90e9],
  ["1.5h", 5400e9],
  ["500ms", 0.5e9],
  ["-1h", -3600e9],
  ["", undefined],
  ["10", undefined],
  ["10x", undefined],
  ["2026-01-01", undefined],
])("the duration %p has %p nanoseconds", (text, nanoseconds) => {
  expect(goDurationOrNone(text)).toBe(nanoseconds);
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
