/** The registry that an engine serves itself: for its own users, over its restarts, closed when its configuration says so. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";

const host = "127.0.0.1:5077";
let engine: EngineUnderTest;

beforeAll(async () => {
  engine = await EngineUnderTest.start("--registry", host);
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.cli(dockerCli === null ? "wherry" : "docker", args);
  if (code !== 0) throw new Error(`${args.join(" ")}: exit ${code}: ${stdout}${stderr}`);
  return stdout + stderr;
}

test("keeps what is pushed to it over a prune and a crash of the engine", async () => {
  const name = `${host}/team/own:1`;
  await ok("tag", "busybox", name);
  await ok("push", name);
  await ok("rmi", name, "busybox");
  await ok("system", "prune", "-a", "-f");
  expect(await ok("run", "--rm", name, "echo", "from the engine's registry")).toContain(
    "from the engine's registry",
  );
  await ok("rmi", name);
  await engine.stop("SIGKILL");
  await engine.start("--registry", host);
  expect(await ok("pull", name)).toContain("Downloaded newer image");
  expect(existsSync(join(engine.directory, "data/registry/repositories/team/own"))).toBe(true);
}, 60_000);

test("is closed by the configuration that 'registry serve' takes", async () => {
  const users = join(engine.directory, "users");
  const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
  writeFileSync(users, `ann:${hash}\n`);
  const config = join(engine.directory, "registry.json");
  writeFileSync(config, JSON.stringify({ htpasswd: users, "anonymous-pull": true }));
  const daemon = join(engine.directory, "daemon.json");
  writeFileSync(daemon, JSON.stringify({ registry: host, "registry-config": config }));
  await engine.stop();
  await engine.start("--config-file", daemon);
  const name = `${host}/team/own:1`;
  await ok("pull", name);
  await ok("tag", name, `${host}/team/own:2`);
  const push = ["push", `${host}/team/own:2`];
  expect((await engine.cli("wherry", push)).stderr).toContain("no basic auth credentials");
  await ok("login", "-u", "ann", "-p", "secret", host);
  await ok(...push);
  expect(await ok("system", "info")).toContain("Server Version");
}, 60_000);

test("is named when it cannot be", async () => {
  await engine.stop();
  await expect(engine.start("--registry", "nowhere")).rejects.toThrow("want HOST:PORT");
  await expect(engine.start("--registry-config", "x")).rejects.toThrow("say --registry ADDRESS:PORT, too");
  await engine.start();
}, 60_000);
