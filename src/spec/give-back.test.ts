import { expect, test } from "bun:test";
import { giveBack } from "./give-back.ts";

test("memory of its own goes, a part of something larger stays", () => {
  const own = new Uint8Array(1 << 17);
  giveBack(own);
  expect(own.length).toBe(0);
  const shared = new Uint8Array(1 << 17).fill(7);
  giveBack(shared.subarray(1));
  giveBack(new Uint8Array(0));
  expect(shared.every((byte) => byte === 7)).toBe(true);
  const small = Buffer.from("a few bytes");
  giveBack(small);
  expect(small.toString()).toBe("a few bytes");
});
