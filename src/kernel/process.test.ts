import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { identify, isAlive, sendSignal, sessionTree } from "./process.ts";

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

test("a session has all that was started in it, also below a process that left it, and outlives its first one", async () => {
  const script = "sleep 61 & setsid sh -c 'sleep 62; :' & echo ready; wait";
  const child = spawn("sh", ["-c", script], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
  const first = identify(child.pid ?? 0);
  if (first === undefined) throw new Error("the child has no identity");
  // Forks take a moment to become what they are.
  while (sessionTree(first, first.pid).length < 4) await Bun.sleep(5);
  const [, ...others] = sessionTree(first, first.pid);
  sendSignal(first, 9);
  await once(child, "exit");
  const left = sessionTree(first, first.pid);
  expect(left.length).toBe(1);
  for (const each of others) sendSignal(each, 9);
  while (sessionTree(first, first.pid).length > 0) await Bun.sleep(5);
  expect(sessionTree({ pid: process.pid, startTicks: 1 }, undefined)).toEqual([]);
  expect(sessionTree(first, undefined)).toEqual([]);
});
