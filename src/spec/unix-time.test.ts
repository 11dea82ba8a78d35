import { expect, test } from "bun:test";
import { formatRfc3339, formatUnixTime, nanoOfMillis, parseRfc3339, parseUnixTime } from "./unix-time.ts";

test("parseRfc3339() keeps nine digits and understands offsets", () => {
  expect(parseRfc3339("1970-01-01T00:00:00Z")).toBe(0n);
  expect(parseRfc3339("2026-11-24T12:00:00.123456789Z")).toBe(1795521600123456789n);
  expect(parseRfc3339("2026-11-24T14:00:00.1+02:00")).toBe(1795521600100000000n);
  expect(parseRfc3339("2026-11-24T06:30:00-05:30")).toBe(1795521600000000000n);
});

test("parseRfc3339() is undefined for anything else", () => {
  for (const text of ["", "now", "2026-11-24", "2026-13-24T12:00:00Z", "2026-11-24T12:00:00"])
    expect(parseRfc3339(text)).toBeUndefined();
});

test("formatRfc3339() writes nine digits, also before the epoch", () => {
  expect(formatRfc3339(1795521600100000000n)).toBe("2026-11-24T12:00:00.100000000Z");
  expect(formatRfc3339(-1n)).toBe("1969-12-31T23:59:59.999999999Z");
});

test("parseUnixTime() reads seconds, fractions and RFC 3339", () => {
  expect(parseUnixTime("1136073600.000000001")).toBe(1136073600000000001n);
  expect(parseUnixTime("0")).toBe(0n);
  expect(parseUnixTime("1136073600.5")).toBe(1136073600500000000n);
  expect(parseUnixTime("1970-01-01T00:00:01Z")).toBe(1000000000n);
  for (const nothing of ["", null, undefined]) expect(parseUnixTime(nothing)).toBeUndefined();
  for (const text of ["yesterday", "1.2.3", "1e9"]) expect(() => parseUnixTime(text)).toThrow("invalid time");
});

test("formatUnixTime() is read back exactly", () => {
  for (const nano of [0n, 1n, 1795521600123456789n]) expect(parseUnixTime(formatUnixTime(nano))).toBe(nano);
  expect(nanoOfMillis(1.9)).toBe(1_000_000n);
});
