import { ptr } from "bun:ffi";
import { expect, test } from "bun:test";
import { pinnedBuffer } from "./libc.ts";

test("a pinned buffer keeps its address when its memory is asked for", () => {
  const buffer = pinnedBuffer(32);
  const before = ptr(buffer);
  void buffer.buffer;
  expect(ptr(buffer)).toBe(before);
});
