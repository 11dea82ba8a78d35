import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExitFiles } from "./exit-files.ts";

let directory: string;
let exits: ExitFiles;
const { signal } = new AbortController();
const id = "a".repeat(64);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "wherry-exits-"));
  exits = await ExitFiles.open(directory);
});
afterAll(async () => {
  exits[Symbol.dispose]();
  await rm(directory, { recursive: true, force: true });
});

/** As conmon does it: under another name first. */
async function write(name: string, text: string): Promise<void> {
  await writeFile(join(directory, `.${name}.tmp`), text);
  await rename(join(directory, `.${name}.tmp`), join(directory, name));
}

test("everybody who waits for one end learns of it", async () => {
  expect(await exits.read(id)).toBeUndefined();
  const waiting = [1, 2, 3].map(() => exits.next(id, { alive: () => true, signal }));
  await write(id, "137");
  await Promise.all(waiting.map(({ heard }) => heard));
  for (const sign of waiting) sign[Symbol.dispose]();
  expect(await exits.read(id)).toMatchObject({ exitCode: 137 });
  exits.forget(id);
  exits.forget(id);
  expect(await exits.read(id)).toBeUndefined();
});

test("waiting ends with the life of who is to write, and with its signal", async () => {
  let alive = true;
  using first = exits.next(id, { alive: () => alive, signal });
  using second = exits.next(id, { alive: () => true, signal: AbortSignal.timeout(1) });
  await second.heard;
  alive = false;
  await first.heard;
  using third = exits.next(id, { alive: () => true, signal: AbortSignal.abort() });
  await third.heard;
}, 20_000);

test("a file that conmon never writes is refused", async () => {
  await write(id, "soon");
  await expect(exits.read(id)).rejects.toThrow("is damaged");
});
