/**
 * Compose, unmodified, on an engine: the one Debian has (1.29 on 12, 2.26 on 13) and, where the docker CLI has it as a
 * plugin, that one too. Where neither is installed (`npm run setup -- --tests` does it) the tests say so by being skipped.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type CliResult, EngineUnderTest } from "./engine-under-test.ts";

/** Databases that are there before they are of use; a server that says what it found when it started. */
const project = `
services:
  db:
    image: busybox
    command: sh -c "echo starting; sleep 0.3; echo content >/data/file; touch /tmp/healthy; exec sleep 1000"
    stop_grace_period: 0s
    healthcheck: {test: test -e /tmp/healthy, interval: 200ms, retries: 100}
    volumes: [data:/data]
    networks:
      back: {aliases: [database]}
  web:
    image: busybox
    command: sh -c "echo found $$(cat /data/file); exec sleep 1000"
    depends_on:
      db: {condition: service_healthy}
    environment: [COLOUR=blue]
    ports: ["18090:80"]
    networks: [front, back]
    stop_grace_period: 0s
    restart: unless-stopped
    volumes: [data:/data:ro]
networks:
  front:
  back:
    internal: true
    ipam:
      config: [{subnet: 10.99.0.0/24}]
volumes:
  data:
`;

const plugin = join("docker", "cli-plugins", "docker-compose");
const places = [
  Bun.which("docker-compose", { PATH: "/usr/bin:/usr/local/bin" }) ?? "",
  join(homedir(), ".docker", "cli-plugins", "docker-compose"),
  ...["/usr/libexec", "/usr/local/libexec", "/usr/lib", "/usr/local/lib"].map((each) => join(each, plugin)),
];
const found = [...new Set(places.filter((each) => existsSync(each)).map((each) => realpathSync(each)))];

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

if (found.length === 0) test.skip("compose is not installed: npm run setup -- --tests", () => undefined);

for (const program of found)
  describe(program, () => {
    let directory: string;
    beforeAll(() => {
      directory = join(engine.directory, "shop");
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, "docker-compose.yml"), project);
    });
    const compose = async (...args: string[]): Promise<CliResult> =>
      await engine.cli(program, [
        "--project-directory",
        directory,
        "-f",
        join(directory, "docker-compose.yml"),
        ...args,
      ]);
    const ok = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await compose(...args);
      expect(`${args.join(" ")}: ${code === 0 ? "" : stdout + stderr}${code}`).toBe(`${args.join(" ")}: 0`);
      return stdout;
    };
    const containers = async () =>
      (await (await engine.client()).containers.list({ all: true })).map(({ Id, Names, State, Labels }) => ({
        id: Id,
        name: Names[0] ?? "",
        state: State,
        service: Labels["com.docker.compose.service"] ?? "",
      }));

    test("up waits for health, and starts what depends on it then", async () => {
      await ok("config", "-q");
      await ok("up", "-d");
      expect((await containers()).map(({ service, state }) => `${service} ${state}`).sort()).toEqual([
        "db running",
        "web running",
      ]);
      const [logs, listed] = [await ok("logs", "--no-color"), await ok("ps")];
      expect(logs).toContain("starting");
      expect(logs).toContain("found content");
      expect(listed).toContain("0.0.0.0:18090->80/tcp");
      expect(await ok("port", "web", "80")).toBe("0.0.0.0:18090\n");
    }, 60_000);

    test("exec finds services by name and alias, and so does a container of its own for one command", async () => {
      expect(await ok("exec", "-T", "web", "nslookup", "database")).toContain("Address: 10.99.0.");
      expect(await ok("exec", "-T", "web", "nslookup", "db")).toContain("Address: 10.99.0.");
      const failed = await compose("exec", "-T", "web", "sh", "-c", "exit 7");
      expect(failed.code).toBe(7);
      expect(await ok("run", "--rm", "-T", "web", "sh", "-c", "echo one-off $COLOUR")).toContain(
        "one-off blue",
      );
    }, 60_000);

    test("scale: one name, several addresses; up again leaves alone what is as it should be", async () => {
      await ok("up", "-d", "--scale", "db=2");
      const before = await containers();
      expect(before.filter(({ service }) => service === "db")).toHaveLength(2);
      const { length } =
        (await ok("exec", "-T", "web", "nslookup", "database")).match(/10\.99\.0\.\d+/g) ?? [];
      expect(length).toBe(2);
      await ok("up", "-d", "--scale", "db=2");
      expect(await containers()).toEqual(before);
    }, 60_000);

    test("restart, stop and start keep containers; down -v leaves nothing", async () => {
      const before = (await containers()).map(({ id }) => id).sort();
      await ok("restart", "web");
      await ok("stop");
      expect(new Set((await containers()).map(({ state }) => state))).toEqual(new Set(["exited"]));
      await ok("start");
      expect((await containers()).map(({ id }) => id).sort()).toEqual(before);
      await ok("down", "-v");
      const client = await engine.client();
      expect(await containers()).toEqual([]);
      expect(await client.networks.list({ type: ["custom"] })).toEqual([]);
      expect((await client.volumes.list()).Volumes).toEqual([]);
      expect(await engine.leaks()).toEqual([]);
    }, 60_000);
  });
