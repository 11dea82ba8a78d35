import { expect, test } from "bun:test";
import { RegistryHealth } from "./registry-health.ts";

test("the store is written to once and read at most once a second, and its trouble is told until it is over", async () => {
  const did: string[] = [];
  let [now, kept, works] = [0, undefined as Uint8Array | undefined, false];
  const health = new RegistryHealth(
    {
      write: async (key, bytes) => {
        did.push(`write ${key}`);
        if (!works) throw new Error("the disk is gone");
        kept = Buffer.from(bytes);
      },
      read: async (key) => {
        did.push(`read ${key}`);
        return kept;
      },
    },
    () => now,
  );
  expect(await Promise.all([health.trouble(), health.trouble()])).toEqual([
    "the disk is gone",
    "the disk is gone",
  ]);
  expect(did.splice(0)).toEqual(["write health"]);
  [works, now] = [true, 1000];
  expect(await health.trouble()).toBeUndefined();
  expect(did.splice(0)).toEqual(["write health", "read health"]);
  for (now = 1001; now < 4000; now += 100) expect(await health.trouble()).toBeUndefined();
  expect(did.splice(0)).toEqual(["read health", "read health"]);
  kept = undefined;
  now = 9000;
  expect(await health.trouble()).toContain("has lost what was written");
  now = 10_000;
  expect(await health.trouble()).toBeUndefined();
});
