import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { closeSync, copyFileSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sealProgram } from "./sealed-program.ts";

test("a sealed program runs, also when its file is gone", () => {
  const directory = mkdtempSync(join(tmpdir(), "wherry-sealed-"));
  try {
    copyFileSync("/bin/true", join(directory, "program"));
    using sealed = sealProgram(join(directory, "program"));
    rmSync(join(directory, "program"));
    expect(execFileSync(sealed.path, { encoding: "utf8" })).toBe("");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("nobody can write to a sealed program", () => {
  using sealed = sealProgram("/bin/true");
  const fd = openSync(sealed.path, "r+");
  try {
    expect(() => writeSync(fd, "evil")).toThrow("EPERM");
    expect(() => ftruncateSync(fd, 0)).toThrow("EPERM");
  } finally {
    closeSync(fd);
  }
});
