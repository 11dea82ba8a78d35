import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { emulated, emulatedBy, runsPrograms } from "./runs-programs.ts";

const entry = (magic: string, o: { state?: string; flags?: string; offset?: number } = {}) =>
  [
    o.state ?? "enabled",
    "interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P",
    `flags: ${o.flags ?? "POCF"}`,
    `offset ${o.offset ?? 0}`,
    `magic ${magic}`,
    "mask ffffffffffffff00fffffffffffffffffeffffff",
    "",
  ].join("\n");
const arm64 = "7f454c460201010000000000000000000200b700";
const s390x = "7f454c4602020100000000000000000000020016";

test("an entry says which architecture it is for", () => {
  expect(emulatedBy(entry(arm64))).toBe("arm64");
  expect(emulatedBy(entry(s390x))).toBe("s390x");
  expect(emulatedBy(entry("7f454c4601010100000000000000000002002800"))).toBe("arm");
});

test("one that is switched off, not for ELF, or looks for its interpreter in the container is of no use", () => {
  expect(emulatedBy(entry(arm64, { state: "disabled" }))).toBeUndefined();
  expect(emulatedBy(entry(arm64, { flags: "OC" }))).toBeUndefined();
  expect(emulatedBy(entry(arm64, { offset: 4 }))).toBeUndefined();
  expect(emulatedBy(entry("cafebabe"))).toBeUndefined();
  expect(emulatedBy("enabled\ninterpreter /x\nflags: F\nextension .py\n")).toBeUndefined();
});

test("a directory of entries, or none", () => {
  const directory = mkdtempSync(join(tmpdir(), "binfmt-"));
  try {
    for (const [name, text] of [
      ["qemu-aarch64", entry(arm64)],
      ["rosetta", entry(arm64)],
      ["mainframe", entry(s390x)],
      ["status", "enabled"],
    ] as const)
      writeFileSync(join(directory, name), text);
    mkdirSync(join(directory, "odd"));
    expect(emulated(directory)).toEqual(["arm64", "s390x"]);
    expect(emulated(join(directory, "gone"))).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a machine runs its own, and what is alike", () => {
  const own = { os: "linux", architecture: "amd64" };
  expect(runsPrograms(own, own)).toBe(true);
  expect(runsPrograms({ os: "linux", architecture: "386" }, own)).toBe(true);
  expect(runsPrograms({ os: "windows", architecture: "amd64" }, own)).toBe(false);
});
