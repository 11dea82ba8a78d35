import { expect, test } from "bun:test";
import { compareBytes } from "./byte-order.ts";

test("names are in the order of their bytes, also where their units are in another", () => {
  const names = [
    "b",
    "a/",
    "a",
    "",
    "é",
    "\uffee",
    "😀",
    "😀a",
    "z",
    "\u{10ffff}",
    "\ud7ff",
    "\ue000",
    "a.b",
    "a-b",
  ];
  const byBytes = [...names].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  expect([...names].sort(compareBytes)).toEqual(byBytes);
  expect([...names].reverse().sort(compareBytes)).toEqual(byBytes);
  expect(compareBytes("a", "a")).toBe(0);
});
