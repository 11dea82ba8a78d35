import { expect, test } from "bun:test";
import { localTime } from "./timestamp.ts";

const now = Date.parse("2026-11-26T12:00:00Z");

test("an instant is written to the nanosecond", () => {
  const text = localTime(BigInt(now) * 1_000_000n + 7n);
  expect(text).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:00\.000000007(?:Z|[+-]\d{2}:\d{2})$/);
  expect(Date.parse(text)).toBe(now);
});
