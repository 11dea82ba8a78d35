import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { isLimited, keepsProjectQuotas, unlimitDirectory } from "./project-quota.ts";

// Limits themselves are looked at in a virtual machine (tests/vm): few file systems keep them.

test("a file system without them says so", () => {
  expect(keepsProjectQuotas("/proc")).toBe(false);
});

test("taking a limit away where there was none is no fault", () => {
  unlimitDirectory("/proc");
  unlimitDirectory(tmpdir());
  expect([isLimited("/proc"), isLimited(tmpdir())]).toEqual([false, false]);
});
