import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { identify, isAlive, sendSignal } from "./process.ts";

test("a process is known by its number and its beginning, until it ends", async () => {
  const child = spawn("sleep", ["60"]);
  const identity = identify(child.pid ?? 0);
  if (identity === undefined) throw new Error("the child has no identity");
  expect(isAlive(identity)).toBe(true);
  expect(isAlive({ ...identity, startTicks: identity.startTicks - 1 })).toBe(false);
  expect(sendSignal({ ...identity, startTicks: 1 }, 9)).toBe(false);
  expect(sendSignal(identity, 9)).toBe(true);
  const [, signal] = await once(child, "exit");
  expect(signal).toBe("SIGKILL");
  expect(isAlive(identity)).toBe(false);
  expect(identify(identity.pid)).toBeUndefined();
});
