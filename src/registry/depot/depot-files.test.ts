import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { depotContract } from "./depot-contract.ts";
import { FileDepot } from "./depot-files.ts";

depotContract("on a file system", async () => {
  const root = await mkdtemp(join(tmpdir(), "wherry-depot-"));
  return {
    open: async () => await FileDepot.open(root),
    close: async () => await rm(root, { recursive: true }),
  };
});

test("what a crash left half-written is swept once it is old", async () => {
  const root = await mkdtemp(join(tmpdir(), "wherry-depot-"));
  const depot = await FileDepot.open(root);
  await writeFile(join(root, "incoming/left"), "x");
  const { signal } = new AbortController();
  expect(await depot.sweep(Date.now() - 60_000, signal)).toBe(0);
  expect(await depot.sweep(Date.now() + 60_000, signal)).toBe(1);
  await rm(root, { recursive: true });
});
