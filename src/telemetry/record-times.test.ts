import { expect, test } from "bun:test";
import { parseRfc3339 } from "#spec/unix-time.ts";
import { RecordTimes } from "./record-times.ts";

test("times are read as they stand, second after second and zone after zone", () => {
  const times = new RecordTimes();
  for (const text of [
    "2026-01-31T12:00:00.123456789+00:00",
    "2026-01-31T12:00:00.000000001+00:00",
    "2026-01-31T12:00:00.000000001+01:00",
    "2026-01-31T12:00:01.999999999+01:00",
    "2025-12-31T23:59:59.500000000-05:30",
  ])
    expect(times.read(Buffer.from(`xx${text} stdout`), 2)).toBe(parseRfc3339(text));
});

test("what is no time is none, and what follows is read again", () => {
  const times = new RecordTimes();
  const good = Buffer.from("2026-01-31T12:00:00.123456789+00:00");
  expect(times.read(good, 0)).toBeDefined();
  expect(times.read(Buffer.from("2026-01-31T12:00:00.12345678x+00:00"), 0)).toBeUndefined();
  expect(times.read(Buffer.from("this is no time at all, is it? no!!"), 0)).toBeUndefined();
  expect(times.read(good, 0)).toBe(parseRfc3339(good.toString()));
});
