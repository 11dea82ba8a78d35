import { expect, test } from "bun:test";
import { humanDuration, parseDuration } from "./human-time.ts";

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
  ["1h30m", 5400],
  ["90s", 90],
  ["1.5h", 5400],
  ["500ms", 0.5],
  ["", undefined],
  ["10", undefined],
  ["10x", undefined],
  ["2026-01-01", undefined],
])("the duration %p is %p seconds", (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});
