import { expect, test } from "bun:test";
import { unpackedBytesMax } from "./unpacked-bound.ts";

test("an archive of a megabyte may become a gigabyte, one of a gigabyte two hundred", () => {
  expect(unpackedBytesMax(1 << 20)).toBe(1 << 30);
  expect(unpackedBytesMax(1 << 30)).toBe(200 * 2 ** 30);
});
