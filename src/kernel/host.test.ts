import { expect, test } from "bun:test";
import { fileSystemOf, hostFacts, parseOsRelease } from "./host.ts";

test("hostFacts() names this machine", () => {
  const facts = hostFacts();
  expect(facts.kernelRelease).toMatch(/^\d+\.\d+/);
  expect(facts.memoryBytes).toBeGreaterThan(1 << 20);
  expect(facts.cpus).toBeGreaterThan(0);
  expect(facts.isRoot).toBe(process.getuid?.() === 0);
});

test("parseOsRelease() reads quotes as a shell does", () => {
  const text = `PRETTY_NAME="A \\"fine\\" Linux"\nVERSION_ID='12 $x'\nID=debian\n# no\nbad line\n`;
  expect(parseOsRelease(text)).toEqual({ PRETTY_NAME: 'A "fine" Linux', VERSION_ID: "12 $x", ID: "debian" });
});

test("fileSystemOf() knows memory file systems", () => {
  expect(fileSystemOf("/dev/shm")).toBe("tmpfs");
});
