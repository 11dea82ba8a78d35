import { expect, test } from "bun:test";
import { DetachKeys, parseKeys } from "./detach-keys.ts";

test("keys are characters and ctrl- with a letter or a sign", () => {
  expect(parseKeys(undefined)).toEqual([0x10, 0x11]);
  expect(parseKeys("ctrl-a,x,ctrl-\\\\,ctrl-[".replace("\\\\", "\\"))).toEqual([1, 0x78, 0x1c, 0x1b]);
  for (const bad of ["ctrl-", "ab", "ctrl-é", "a,,b"])
    expect(() => parseKeys(bad)).toThrow(`invalid detach keys (${bad})`);
});

test("what begins like the keys is passed on when it goes on otherwise, also over several pieces", () => {
  const keys = new DetachKeys(parseKeys("a,a,b"));
  const typed = (text: string) => {
    const passed = keys.pass(Buffer.from(text));
    return passed === undefined ? undefined : Buffer.from(passed).toString();
  };
  expect(typed("xa")).toBe("x");
  expect(typed("a")).toBe("");
  expect(typed("a")).toBe("a");
  expect(typed("c")).toBe("aac");
  expect(typed("aa")).toBe("");
  expect(typed("bc")).toBeUndefined();
});
