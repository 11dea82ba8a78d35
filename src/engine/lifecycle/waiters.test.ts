import { expect, test } from "bun:test";
import { Waiters } from "./waiters.ts";

test("everyone who waits for an end gets it, once", async () => {
  const waiters = new Waiters();
  const { signal } = new AbortController();
  const waits = [waiters.nextExit("c"), waiters.nextExit("c", signal), waiters.nextExit("other")];
  waiters.exited("c", { exitCode: 3 });
  expect(await Promise.all(waits.slice(0, 2))).toEqual([{ exitCode: 3 }, { exitCode: 3 }]);
  expect([waiters.count("c"), waiters.count("other")]).toEqual([0, 1]);
  waiters.exited("c", { exitCode: 4 });
});

test("nothing is kept of who no longer waits", () => {
  const waiters = new Waiters();
  const abort = new AbortController();
  for (let each = 0; each < 100; each++) {
    void waiters.nextExit("c", abort.signal);
    void waiters.removal("c", abort.signal);
    void waiters.nextLaunch("c", abort.signal);
  }
  expect(waiters.count("c")).toBe(300);
  abort.abort();
  expect(waiters.count("c")).toBe(0);
  void waiters.nextExit("c", abort.signal);
  expect(waiters.count("c")).toBe(0);
});

test("a removal ends what waits for an exit too", async () => {
  const waiters = new Waiters();
  const waits = [waiters.nextExit("c"), waiters.removal("c")];
  void waiters.nextLaunch("c");
  waiters.removed("c", { exitCode: 5 });
  expect(await Promise.all(waits)).toEqual([{ exitCode: 5 }, { exitCode: 5 }]);
  expect(waiters.count("c")).toBe(0);
});
