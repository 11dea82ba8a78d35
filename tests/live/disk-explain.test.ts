/** `system df --explain`: whose the bytes below the data root are, to the last. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "#client/client.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

async function run(...args: string[]): Promise<void> {
  const { code, stderr } = await engine.cli("wherry", args);
  expect([code, stderr]).toEqual([0, ""]);
}

test("all bytes below the data root are somebody's, and adds up to what du says", async () => {
  await run(
    "run",
    "--name",
    "writer",
    "-v",
    "kept:/data",
    "busybox",
    "sh",
    "-c",
    "head -c 7000000 /dev/urandom > /data/f; head -c 4000000 /dev/urandom > /x",
  );
  const context = join(engine.directory, "context");
  mkdirSync(context, { recursive: true });
  writeFileSync(join(context, "random"), randomBytes(3 << 20));
  writeFileSync(
    join(context, "Dockerfile"),
    "FROM busybox\nCOPY random /built\nRUN head -c 2000000 /dev/urandom > /x\n",
  );
  const built = await engine.cli("wherry", ["build", "-t", "built", context]);
  expect(built.code).toBe(0);
  await run("rmi", "built");
  await run("run", "--name", "talks", "busybox", "sh", "-c", "head -c 1500000 /dev/zero | tr '\\0' a; :");
  await run(
    "run",
    "--name",
    "nameless",
    "-v",
    "/data",
    "busybox",
    "sh",
    "-c",
    "head -c 2500000 /dev/urandom > /data/f",
  );
  await run(
    "run",
    "--rm",
    "-v",
    "gone:/data",
    "busybox",
    "sh",
    "-c",
    "head -c 3500000 /dev/urandom > /data/f",
  );
  await run("volume", "rm", "gone");
  writeFileSync(join(engine.directory, "data/stray"), randomBytes(1_000_000));
  const { Bytes, Parts } = await client.explainDisk();
  const { stdout } = spawnSync("du", ["-sx", "--block-size=1", join(engine.directory, "data")], {
    encoding: "utf8",
  });
  expect(Math.abs(Bytes / Number.parseInt(stdout, 10) - 1)).toBeLessThan(0.01);
  expect(Parts.reduce((total, part) => total + part.Bytes, 0)).toBe(Bytes);
  const sizes = Object.fromEntries(Parts.map((part) => [part.Name, part.Bytes]));
  const least = {
    "image layers": 1e6,
    "build cache layers": 5e6,
    "container changes": 4e6,
    "named volumes": 7e6,
    "anonymous volumes": 2.5e6,
    trash: 3.5e6,
    logs: 1.5e6,
    records: 4e6,
    "everything else": 1e6,
  };
  for (const [name, bytes] of Object.entries(least)) {
    expect([name, (sizes[name] ?? 0) > bytes * 0.95]).toEqual([name, true]);
    expect([name, (sizes[name] ?? 0) < bytes * 2 + 3e6]).toEqual([name, true]);
  }
  const table = await engine.cli("wherry", ["system", "df", "--explain"]);
  expect(table.stdout).toMatch(/^WHAT +SIZE +FILES +GETS SMALLER BY\n/);
  expect(table.stdout).toMatch(/\ntrash +3\.\d+MB +\d+ +wherry trash empty\n/);
}, 60_000);
