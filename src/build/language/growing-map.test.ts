import { expect, test } from "bun:test";
import { GrowingMap } from "./growing-map.ts";

test("every version stays as it is, however they are looked into", () => {
  const first = GrowingMap.of([["a", 1]]);
  const second = first.with("b", 2);
  const third = second.with("a", 3);
  const fourth = third.with("c", 4);
  const branch = second.with("c", 9);
  const all = [first, second, third, fourth, branch];
  const wanted = [{ a: 1 }, { a: 1, b: 2 }, { a: 3, b: 2 }, { a: 3, b: 2, c: 4 }, { a: 1, b: 2, c: 9 }];
  for (const order of [all.keys(), [...all.keys()].reverse(), [2, 0, 4, 1, 3]])
    for (const at of order) {
      const version = all[at]!;
      expect(version.toObject()).toEqual(wanted[at]!);
      expect(version.keys()).toEqual(Object.keys(wanted[at]!));
      expect(version.has("c")).toBe(Object.hasOwn(wanted[at]!, "c"));
      expect(version.size).toBe(Object.keys(wanted[at]!).length);
    }
  expect(first.with("a", 1)).toBe(first);
});

test("a long way back is no deep recursion", () => {
  const first = GrowingMap.of<number>([]);
  let last = first;
  for (let at = 0; at < 100_000; at++) last = last.with(`k${at}`, at);
  expect(last.size).toBe(100_000);
  expect(first.size).toBe(0);
  expect(last.get("k99999")).toBe(99_999);
});

test("a value may be undefined, a name may be any", () => {
  const map = GrowingMap.of<string | undefined>([]).with("__proto__", undefined).with("x", "y");
  expect([map.has("__proto__"), map.get("__proto__"), map.keys()]).toEqual([
    true,
    undefined,
    ["__proto__", "x"],
  ]);
});
