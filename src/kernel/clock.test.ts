import { expect, test } from "bun:test";
import { nowNano } from "./clock.ts";

test("tells the time, and each instant once", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const seen = Array.from({ length: 1000 }, nowNano);
  expect(seen[0] ?? 0n).toBeGreaterThanOrEqual(before);
  expect(Number((seen.at(-1) ?? 0n) - before) / 1e6).toBeLessThan(60_000);
  for (const [at, each] of seen.entries()) if (at > 0) expect(each > (seen[at - 1] ?? 0n)).toBe(true);
});
