/**
 * The engine is killed with SIGKILL in the middle of a back-off, of a probe, of an exec, while logs are followed; and
 * containers end while it is away. When it comes back, all is as if it had been there.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Client } from "#client/client.ts";
import type { HostConfig } from "#spec/container.ts";
import type { Healthcheck } from "#spec/image.ts";
import { EngineUnderTest } from "./engine-under-test.ts";
import { processesWith, until, untilState } from "./told.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
beforeEach(async () => {
  client = await engine.client();
});
afterEach(async () => await engine.removeContainers());

async function start(script: string, host: HostConfig = {}, Healthcheck: Healthcheck = {}): Promise<string> {
  const body = { Image: "busybox", Cmd: ["sh", "-c", script], HostConfig: host, Healthcheck };
  const { Id } = await client.containers.create(body);
  await client.containers.start(Id);
  return Id;
}

/** `away` happens while no engine lives. */
async function crash(away: () => unknown = () => undefined): Promise<void> {
  await engine.stop("SIGKILL");
  await away();
  await engine.start();
  client = await engine.client();
}

const always: HostConfig = { RestartPolicy: { Name: "always" } };
const unlessStopped: HostConfig = { RestartPolicy: { Name: "unless-stopped" } };

async function pidOf(id: string): Promise<number> {
  return (await client.containers.inspect(id)).State.Pid;
}

test("a restart that was due is made, and counted on", async () => {
  const id = await start("exit 3", always);
  const farMs = 600;
  await untilState(client, id, ({ RestartAt }) => Date.parse(RestartAt ?? "") > Date.now() + farMs);
  const { RestartCount } = await client.containers.inspect(id);
  expect(RestartCount).toBeGreaterThan(1);
  await crash();
  await untilState(client, id, (_, count) => count > RestartCount);
}, 30_000);

test("policies decide who comes back", async () => {
  const [stoppedAlways, stoppedUnless] = [
    await start("sleep 99", always),
    await start("sleep 99", unlessStopped),
  ];
  await client.containers.stop(stoppedAlways, { seconds: 0 });
  await client.containers.stop(stoppedUnless, { seconds: 0 });
  const lost = await start("sleep 99", unlessStopped);
  const failed = await start("sleep 99", { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 1 } });
  const plain = await start("sleep 99");
  const lives = await start("sleep 99", always);
  const before = (await client.containers.inspect(lives)).State;
  const doomed = [await pidOf(lost), await pidOf(failed), await pidOf(plain)];
  await crash(() => doomed.map((pid) => process.kill(pid, "SIGKILL")));
  for (const id of [stoppedAlways, lost, failed])
    await untilState(client, id, ({ Status }) => Status === "running");
  expect((await client.containers.inspect(stoppedUnless)).State.Status).toBe("exited");
  expect((await client.containers.inspect(plain)).State).toMatchObject({ Status: "exited", ExitCode: 137 });
  expect((await client.containers.inspect(lives)).State).toMatchObject({
    Pid: before.Pid,
    StartedAt: before.StartedAt,
  });
}, 30_000);

test("donors of namespaces come back before those who share them", async () => {
  const donor = await start("sleep 99", always);
  const shared = await start("sleep 99", {
    ...always,
    ...{ PidMode: `container:${donor}`, NetworkMode: `container:${donor}` },
  });
  const pid = await pidOf(donor);
  await crash(() => process.kill(pid, "SIGKILL"));
  for (const id of [donor, shared]) await untilState(client, id, ({ Status }) => Status === "running");
  expect(engine.log).not.toContain("non running container");
  expect((await client.containers.inspect(shared)).State.Error).toBe("");
}, 30_000);

test("health is kept over the engine's death; a probe it died in is cleared away, and probing goes on", async () => {
  const id = await start(
    "sleep 99",
    {},
    {
      Test: ["CMD-SHELL", "if test -f /once; then sleep 31339; else touch /once; fi"],
      ...{ Interval: 60e6, Timeout: 3600e9 },
    },
  );
  await untilState(client, id, ({ Health }) => Health?.Status === "healthy");
  await until(
    async () => (processesWith("sleep 31339").length > 0 ? true : undefined),
    "the probe that hangs",
  );
  const before = (await client.containers.inspect(id)).State;
  await crash(() => rmSync(`/proc/${before.Pid}/root/once`));
  const after = (await client.containers.inspect(id)).State;
  expect(after).toMatchObject({ Pid: before.Pid, StartedAt: before.StartedAt, Status: "running" });
  expect(after.Health).toMatchObject({ Status: "healthy", FailingStreak: 0 });
  expect(after.Health?.Log?.[0]).toEqual(before.Health?.Log?.[0]);
  await untilState(client, id, ({ Health }) => Health?.Log?.length === 2 && Health.Status === "healthy");
  await client.containers.stop(id, { seconds: 0 });
  await until(
    async () => (processesWith("sleep 31339").length === 0 ? true : undefined),
    "the end of all probes",
  );
}, 30_000);

test("probes that went wrong in a row are counted on", async () => {
  const id = await start("sleep 99", {}, { Test: ["CMD", "false"], Interval: 100e6, Retries: 1000 });
  await untilState(client, id, ({ Health }) => (Health?.FailingStreak ?? 0) >= 3);
  await crash();
  const { Health } = (await client.containers.inspect(id)).State;
  expect(Health?.FailingStreak).toBeGreaterThanOrEqual(3);
  await untilState(
    client,
    id,
    ({ Health: seen }) => (seen?.FailingStreak ?? 0) > (Health?.FailingStreak ?? 0),
  );
}, 30_000);

test("an exec lives on with its container, and ends with it", async () => {
  const id = await start("sleep 99");
  const exec = await client.containers.createExec(id, { Cmd: ["sleep", "31340"], AttachStdout: true });
  await client.containers.startExecDetached(exec);
  await crash();
  expect(processesWith("sleep 31340")).toHaveLength(1);
  const second = await client.containers.createExec(id, { Cmd: ["true"] });
  await client.containers.startExecDetached(second);
  await client.containers.stop(id, { seconds: 0 });
  await until(
    async () => (processesWith("sleep 31340").length === 0 ? true : undefined),
    "the end of the exec",
  );
}, 30_000);

test("how detached execs ended is known, also of one that did without an engine, and of one that lived over its death", async () => {
  const id = await start("sleep 99");
  const script = (name: string, code: number) =>
    `while ! test -e /${name}; do sleep 0.02; done; exit ${code}`;
  const waiting = async (name: string, code: number, Tty = false): Promise<string> => {
    const Cmd = ["sh", "-c", script(name, code)];
    const exec = await client.containers.createExec(id, { Cmd, Tty });
    await client.containers.startExecDetached(exec);
    return exec;
  };
  const [early, terminal, late] = [
    await waiting("early", 7),
    await waiting("terminal", 8, true),
    await waiting("late", 9),
  ];
  const root = `/proc/${await pidOf(id)}/root`;
  await crash(async () => {
    for (const [name, code] of [
      ["early", 7],
      ["terminal", 8],
    ] as const) {
      writeFileSync(`${root}/${name}`, "");
      const lives = () => processesWith(`sh -c ${script(name, code)}`).length > 0;
      await until(async () => (lives() ? undefined : true), `the end of the exec that waits for ${name}`);
    }
  });
  const codeOf = async (exec: string) => {
    const { Running, ExitCode } = await client.containers.inspectExec(exec);
    return Running ? undefined : ExitCode;
  };
  expect(await until(async () => await codeOf(early), "the first exec's end")).toBe(7);
  expect(await until(async () => await codeOf(terminal), "the end of the one with a terminal")).toBe(8);
  const { Running, Pid } = await client.containers.inspectExec(late);
  expect(Running).toBe(true);
  expect(readFileSync(`/proc/${Pid}/cmdline`, "latin1")).toContain("test -e /late");
  writeFileSync(`${root}/late`, "");
  expect(await until(async () => await codeOf(late), "the last exec's end")).toBe(9);
}, 30_000);

test("logs that were followed can be followed on, without a gap", async () => {
  const id = await start("i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done");
  const followed = await client.containers.logs(id, { follow: true });
  let seen = 0;
  try {
    for await (const part of followed.body) {
      seen += part.length;
      if (seen > 100) {
        await engine.stop("SIGKILL");
        seen = -1e9;
      }
    }
  } catch {
    // The engine went in the middle of it.
  }
  await engine.start();
  client = await engine.client();
  await client.containers.stop(id, { seconds: 0 });
  const whole = await client.containers.logs(id, {});
  const chunks: Uint8Array[] = [];
  for await (const part of whole.body) chunks.push(part);
  const lines =
    Buffer.concat(chunks)
      .toString("latin1")
      .match(/\d+(?=\n)/g) ?? [];
  expect(lines.length).toBeGreaterThan(10);
  expect(lines.map(Number)).toEqual(lines.map((_, index) => index + 1));
}, 30_000);

test("nothing is left of any of them", async () => {
  expect(await engine.leaks()).toEqual([]);
}, 60_000);
