import { describe, expect, test } from "bun:test";
import { apiTime } from "./units.ts";

describe("a time for the API", () => {
  const local = (text: string) => `${Date.parse(text) / 1000}.000000000`;
  const cases: [string, string][] = [
    ["1m30s", "910.000000000"],
    ["123.5", "123.5"],
    ["0", "0"],
    ["2026-01-02T03:04:05.123456789Z", "1767323045.123456789"],
    ["2026-01-02T03:04:05+01:00", "1767319445.000000000"],
    ["2026-01-02T03:04", local("2026-01-02T03:04:00")],
    ["2026-01-02T03", local("2026-01-02T03:00:00")],
    ["2026-01-02", local("2026-01-02T00:00:00")],
    ["2026-01-02Z", "1767312000.000000000"],
  ];
  for (const [text, expected] of cases)
    test(text, () => {
      expect(apiTime(text, 1_000_000)).toBe(expected);
    });

  test("is refused when it is none", () => {
    expect(() => apiTime("abc", 0)).toThrow('failed to parse value as time or duration: "abc"');
    expect(() => apiTime("2026-13-01", 0)).toThrow("failed to parse");
  });
});
