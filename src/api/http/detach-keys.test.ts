import { expect, test } from "bun:test";
import { DetachScanner, defaultDetachKeys, parseDetachKeys } from "./detach-keys.ts";

test.each([
  [undefined, [0x10, 0x11]],
  ["", [0x10, 0x11]],
  ["ctrl-a", [1]],
  ["ctrl-@,ctrl-[,ctrl-\\,ctrl-_", [0, 27, 28, 31]],
  ["a,b", [97, 98]],
])("%p is %p", (text, keys) => {
  expect([...parseDetachKeys(text)]).toEqual(keys);
});

test.each(["ctrl-1", "ab", "a,", "ctrl-", "é"])("%p is refused", (text) => {
  expect(() => parseDetachKeys(text)).toThrow("Invalid detach keys");
});

/** Feeds chunks; what was passed on, and whether the sequence was seen. */
function scan(keys: readonly number[], ...chunks: string[]): [string, boolean] {
  const scanner = new DetachScanner(keys);
  let passed = "";
  for (const chunk of chunks) {
    const { pass, detached } = scanner.scan(Buffer.from(chunk));
    passed += Buffer.from(pass).toString();
    if (detached) return [passed, true];
  }
  return [passed, false];
}

test("the sequence is seen within a chunk, across chunks, and after a false start", () => {
  expect(scan(defaultDetachKeys, "ab\x10\x11cd")).toEqual(["ab", true]);
  expect(scan(defaultDetachKeys, "ab\x10", "\x11")).toEqual(["ab", true]);
  expect(scan(defaultDetachKeys, "\x10\x10\x11")).toEqual(["\x10", true]);
  expect(scan([97, 97, 98], "aaab")).toEqual(["a", true]);
});

test("everything else is passed on, the beginning of the sequence as soon as it is none", () => {
  expect(scan(defaultDetachKeys, "plain", " text")).toEqual(["plain text", false]);
  expect(scan(defaultDetachKeys, "a\x10", "b")).toEqual(["a\x10b", false]);
  expect(scan(defaultDetachKeys, "a\x10")).toEqual(["a", false]);
});
