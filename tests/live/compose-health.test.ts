/** Compose files whose services wait for one another's health, run by the compose programs this machine has. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

const file = `
services:
  db:
    image: busybox
    command: sh -c 'sleep 0.3; touch /up; sleep 1000'
    stop_grace_period: 0s
    network_mode: bridge
    healthcheck:
      test: ["CMD", "test", "-f", "/up"]
      interval: 100ms
      retries: 100
  web:
    image: busybox
    command: echo web runs
    network_mode: bridge
    depends_on:
      db:
        condition: service_healthy
`;

/** The second comes as a plugin of the docker CLI, which can be called by itself. */
const plugin = join(homedir(), ".docker/cli-plugins/docker-compose");
const programs: [string, string, boolean][] = [
  ["docker-compose 1.29", "docker-compose", Bun.which("docker-compose") === null],
  ["docker compose 2", plugin, !existsSync(plugin)],
];

for (const [name, program, absent] of programs)
  describe.skipIf(absent)(name, () => {
    test("a service starts when the one it depends on is healthy", async () => {
      const directory = join(engine.directory, name.replaceAll(/[^a-z0-9]/g, ""));
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, "docker-compose.yml"), file);
      const run = async (...args: string[]) =>
        await engine.cli(program, [
          "--project-directory",
          directory,
          "-f",
          join(directory, "docker-compose.yml"),
          ...args,
        ]);
      const up = await run("up", "-d");
      expect(up.code, up.stderr).toBe(0);
      const client = await engine.client();
      const told: string[] = [];
      for await (const { Action, Actor } of client.events({ since: "1", until: String(Date.now() / 1000) }))
        told.push(`${Actor.Attributes["com.docker.compose.service"]} ${Action}`);
      const healthy = told.indexOf("db health_status: healthy");
      expect(healthy).toBeGreaterThan(told.indexOf("db start"));
      expect(told.indexOf("web start")).toBeGreaterThan(healthy);
      const down = await run("down");
      expect(down.code, down.stderr).toBe(0);
      expect(await client.containers.list({ all: true })).toEqual([]);
    }, 60_000);
  });
