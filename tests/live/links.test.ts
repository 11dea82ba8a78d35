/** Links of old on the default bridge, as docker-compose files of version 1 have them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Client } from "#client/client.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;

beforeAll(async () => {
  // So small a subnet that others take the address of one that stops.
  engine = await EngineUnderTest.start("--bip", "172.17.0.1/29");
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

const cli = async (...args: string[]) => await engine.cli("wherry", args);
const addressOf = async (name: string) => (await client.containers.inspect(name)).NetworkSettings.IPAddress;

test("a container finds another by its alias, in its hosts file, its variables and execs", async () => {
  await cli("run", "-d", "--name", "db", "--expose", "5432", "-e", "PW=x", "busybox", "sleep", "1000");
  await cli("run", "-d", "--name", "web", "--link", "db:store", "--link", "db", "busybox", "sleep", "1000");
  const [address, id] = [await addressOf("db"), (await client.containers.inspect("db")).Id.slice(0, 12)];
  const { stdout: hosts } = await cli("exec", "web", "cat", "/etc/hosts");
  expect(hosts).toContain(`${address}\tstore ${id} db\n${address}\tdb ${id}\n`);
  const { stdout: variables } = await cli("exec", "web", "env");
  expect(variables).toContain(`STORE_PORT_5432_TCP=tcp://${address}:5432\n`);
  expect(variables).toContain("STORE_NAME=/web/store\n");
  expect(variables).toContain("STORE_ENV_PW=x\n");
  const seen = await client.containers.inspect("web");
  expect(seen.HostConfig.Links).toEqual(["/db:/web/store", "/db:/web/db"]);
  const names = (await client.containers.list({})).find(({ Id }) => Id.startsWith(id))?.Names;
  expect(names).toEqual(["/db", "/web/store", "/web/db"]);
});

test("the hosts file follows where the other comes to", async () => {
  const before = await addressOf("db");
  await cli("stop", "-t", "0", "db");
  for (const name of ["s1", "s2", "s3", "s4"])
    await cli("run", "-d", "--name", name, "busybox", "sleep", "1000");
  expect(await addressOf("s4")).toBe(before);
  await cli("rm", "-f", "s1");
  await cli("start", "db");
  const after = await addressOf("db");
  expect(after).not.toBe(before);
  const { stdout: hosts } = await cli("exec", "web", "cat", "/etc/hosts");
  expect(hosts).toMatch(new RegExp(`^${after}\tstore `, "m"));
  expect(hosts).not.toMatch(new RegExp(`^${before}\tstore `, "m"));
});

test("a link is taken away, renamed with the other, and refused when the other does not run", async () => {
  expect((await cli("rm", "--link", "web/store")).stdout).toBe("web/store\n");
  await cli("rename", "db", "base");
  expect((await client.containers.inspect("web")).HostConfig.Links).toEqual(["/base:/web/db"]);
  await cli("stop", "-t", "0", "base", "web");
  const { code, stderr } = await cli("start", "web");
  expect(code).not.toBe(0);
  expect(stderr).toContain("Cannot link to a non running container: /base AS /web/db");
  expect((await cli("create", "--link", "nobody:x", "busybox")).stderr).toContain(
    "could not get container for nobody: No such container: nobody",
  );
  expect((await cli("rm", "--link", "web/nothing")).code).toBe(1);
});

test("links outlive the engine", async () => {
  await cli("start", "base", "web");
  await engine.stop("SIGKILL");
  await engine.start("--bip", "172.17.0.1/29");
  client = await engine.client();
  expect((await client.containers.inspect("web")).HostConfig.Links).toEqual(["/base:/web/db"]);
  const { stdout: variables } = await cli("exec", "web", "env");
  expect(variables).toContain("DB_NAME=/web/db\n");
});
