/** What is left of containers: a removal that fails, the network a running one has, the room that pruned volumes give back. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
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
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

const cli = async (...args: string[]) => await engine.cli("wherry", args);

test("a container whose removal fails is dead, says why, and goes when it can", async () => {
  await cli("run", "--name", "stuck", "busybox", "touch", "/kept");
  const { Id, GraphDriver } = await client.containers.inspect("stuck");
  const file = join(GraphDriver.Data?.["UpperDir"] ?? "", "kept");
  const mark = (how: "+i" | "-i") => expect(spawnSync("chattr", [how, file]).status).toBe(0);
  mark("+i");
  try {
    const refused = await cli("rm", "stuck");
    expect(refused.code).toBe(1);
    const { State } = await client.containers.inspect(Id);
    expect([State.Status, State.Dead, State.Running]).toEqual(["dead", true, false]);
    expect(State.Error).not.toBe("");
    expect(
      (await client.containers.list({ all: true, filters: { status: ["dead"] } })).map((each) => each.Id),
    ).toEqual([Id]);
    expect((await cli("start", "stuck")).code).toBe(1);
    // An engine that comes back tries again. What cannot go is no reason not to start.
    await engine.stop("SIGKILL");
    await engine.start();
    expect(engine.log).toContain("is left over and cannot be removed");
  } finally {
    const found = spawnSync("find", [join(engine.directory, "data/layers"), "-name", "kept"], {
      encoding: "utf8",
    });
    for (const path of found.stdout.split("\n").filter(Boolean)) spawnSync("chattr", ["-i", path]);
  }
  client = await engine.client();
  expect(await client.containers.list({ all: true })).toEqual([]);
  await engine.stop();
  await engine.start();
  expect(readdirSync(join(engine.directory, "data/layers/incoming"))).toEqual([]);
});

test("inspect names the network namespace of what runs; what ended keeps its id, as in Docker", async () => {
  await cli("run", "-d", "--name", "box", "busybox", "sleep", "1000");
  const { NetworkSettings, State } = await client.containers.inspect("box");
  expect(NetworkSettings.SandboxID).toMatch(/^[0-9a-f]{64}$/);
  expect(statSync(NetworkSettings.SandboxKey).ino).toBe(statSync(`/proc/${State.Pid}/ns/net`).ino);
  await cli("run", "-d", "--name", "guest", "--network", "container:box", "busybox", "sleep", "1000");
  await cli("stop", "-t", "0", "box", "guest");
  const rested = (await client.containers.inspect("box")).NetworkSettings;
  expect([rested.SandboxID, rested.SandboxKey]).toEqual([NetworkSettings.SandboxID, ""]);
});

test("pruned volumes tell what they held", async () => {
  await cli(
    "run",
    "--rm",
    "-v",
    "data:/d",
    "busybox",
    "dd",
    "if=/dev/zero",
    "of=/d/file",
    "bs=1024",
    "count=300",
  );
  const { stdout } = await cli("volume", "prune", "--all", "--force");
  expect(stdout).toContain("Total reclaimed space: 307.2kB\n");
});
