/**
 * Clients of Docker's API that others wrote, unmodified, each driving an engine through a program of `tests/sdk`. Where one is
 * not installed (`npm run setup -- --tests` does it), its test says so by being skipped.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { EngineUnderTest } from "./engine-under-test.ts";

const programs = join(import.meta.dir, "../sdk");
/** Debian's own, whatever else the machine has. */
const python = "/usr/bin/python3";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

function absent(program: string): boolean {
  if (program.endsWith(".py")) return spawnSync(python, ["-c", "import docker"]).status !== 0;
  return !existsSync(join(programs, "node_modules", program.replace(".mjs", "")));
}

for (const program of ["docker-py.py", "dockerode.mjs", "testcontainers.mjs"]) {
  const why = absent(program) ? " (not installed: npm run setup -- --tests)" : "";
  test.skipIf(why !== "")(
    `${program} finds everything as it should be${why}`,
    async () => {
      const runner = program.endsWith(".py") ? python : process.execPath;
      const env = { TESTCONTAINERS_RYUK_DISABLED: "true", BUN_BE_BUN: "1" };
      const { code, stdout, stderr } = await engine.cli(runner, [join(programs, program)], { env });
      expect(`${stderr}${code} ${stdout}`).toMatch(/0 .* content\n$/);
      const client = await engine.client();
      expect(await client.containers.list({ all: true })).toEqual([]);
      expect(await client.networks.list({ type: ["custom"] })).toEqual([]);
      expect(await engine.leaks()).toEqual([]);
    },
    90_000,
  );
}
