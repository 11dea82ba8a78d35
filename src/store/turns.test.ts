import { expect, test } from "bun:test";
import { Turns } from "./turns.ts";

test("work of one key runs in the order it came, one at a time", async () => {
  const turns = new Turns();
  const seen: string[] = [];
  const work = (name: string, ms: number) =>
    turns.take("a", async () => {
      seen.push(`${name}+`);
      await Bun.sleep(ms);
      seen.push(`${name}-`);
    });
  await Promise.all([work("1", 8), work("2", 1), work("3", 0)]);
  expect(seen).toEqual(["1+", "1-", "2+", "2-", "3+", "3-"]);
});

test("other keys do not wait", async () => {
  const turns = new Turns();
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = turns.take("a", () => promise);
  expect(await turns.take("b", async () => 7)).toBe(7);
  resolve();
  await held;
});

test("a failure passes the turn on", async () => {
  const turns = new Turns();
  const failed = turns.take("a", async () => {
    throw new Error("no");
  });
  const after = turns.take("a", async () => "yes");
  expect(failed).rejects.toThrow("no");
  expect(await after).toBe("yes");
});
