/** What happens is told: in Docker's words and order, to those who look and to those who ask later. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "#client/client.ts";
import type { EventMessage } from "#spec/docker-wire.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
let since = "";
beforeEach(async () => {
  client = await engine.client();
  since = await now();
});

/** By the engine's clock: behind everything that was, before everything to come. */
async function now(): Promise<string> {
  await client.volumes.create({ Name: "mark" });
  await client.volumes.remove("mark");
  for await (const line of client.eventLines({
    since: "1",
    until: String((Date.now() + 2) / 1000),
    filters: { volume: ["mark"], event: ["destroy"] },
  })) {
    const nano = /"timeNano":(\d+)/.exec(line)?.[1] ?? "";
    mark = `${nano.slice(0, -9)}.${nano.slice(-9)}`;
  }
  return mark;
}
let mark = "";

async function told(filters: Record<string, string[]> = {}): Promise<EventMessage[]> {
  const until = await now();
  const events: EventMessage[] = [];
  for await (const event of client.events({ since, until, filters }))
    if (event.Actor.ID !== "mark") events.push(event);
  return events;
}

const actions = (events: readonly EventMessage[]): string[] =>
  events.filter(({ Type }) => Type === "container").map(({ Action }) => Action);

async function run(name: string, Cmd: string[], more = {}): Promise<string> {
  const { Id } = await client.containers.create({ Image: "busybox", Cmd, HostConfig: {}, ...more }, { name });
  await client.containers.start(Id);
  return Id;
}

/** Runs to its end; every event of that was told when this resolves. */
async function ran(name: string, Cmd: string[], more = {}): Promise<string> {
  const { Id } = await client.containers.create({ Image: "busybox", Cmd, HostConfig: {}, ...more }, { name });
  const { exit } = await client.containers.wait(Id, "next-exit");
  await client.containers.start(Id);
  await exit;
  return Id;
}

test("a container's life", async () => {
  const id = await ran("life", ["sh", "-c", "exit 3"], { Labels: { a: "b" } });
  await client.containers.rename(id, "later");
  await client.containers.remove(id);
  const events = await told({ type: ["container"] });
  expect(actions(events)).toEqual(["create", "start", "die", "rename", "destroy"]);
  expect(events.map(({ Actor }) => Actor.Attributes)).toEqual([
    { a: "b", image: "busybox", name: "life" },
    { a: "b", image: "busybox", name: "life" },
    { a: "b", image: "busybox", name: "life", exitCode: "3", execDuration: "0" },
    { a: "b", image: "busybox", name: "later", oldName: "/life" },
    { a: "b", image: "busybox", name: "later" },
  ]);
  expect(events[0]).toMatchObject({
    status: "create",
    id,
    from: "busybox",
    scope: "local",
    Type: "container",
  });
  const times = events.map(({ timeNano }) => timeNano);
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

test("what is asked of a running one, in order", async () => {
  const id = await run("busy", ["sleep", "60"], { StopSignal: "SIGKILL" });
  await client.containers.pause(id);
  await client.containers.unpause(id);
  await client.containers.top(id);
  // The first process of a container is not ended by a signal it does not expect.
  await client.containers.kill(id, "USR2");
  await client.containers.restart(id, { seconds: 5 });
  await client.containers.stop(id, { seconds: 5 });
  await client.containers.start(id);
  await client.containers.remove(id, { force: true });
  const events = await told();
  expect(actions(events)).toEqual(
    [
      "create start pause unpause top kill",
      "kill die stop start restart kill die stop",
      "start kill die destroy",
    ]
      .join(" ")
      .split(" "),
  );
  const signals = events
    .filter(({ Action }) => Action === "kill")
    .map(({ Actor }) => Actor.Attributes["signal"]);
  expect(signals).toEqual(["12", "9", "9", "9"]);
});

test("execs name their command, want of memory is told before the end", async () => {
  const id = await run("execs", ["sleep", "60"]);
  const exec = await client.containers.createExec(id, { Cmd: ["sh", "-c", "exit 4"], AttachStdout: true });
  {
    await using stream = await client.containers.startExec(exec, { tty: false });
    for await (const _ of stream.output);
  }
  const greedy = await ran("greedy", ["sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"], {
    HostConfig: { Memory: 16 << 20, MemorySwap: 16 << 20 },
  });
  const events = await told();
  const about = (name: string) => events.filter(({ Actor }) => Actor.Attributes["name"] === name);
  expect(actions(about("execs")).slice(2)).toEqual([
    "exec_create: sh -c exit 4",
    "exec_start: sh -c exit 4",
    "exec_die",
  ]);
  expect(about("execs").at(-1)?.Actor.Attributes).toMatchObject({ execID: exec, exitCode: "4" });
  expect(actions(about("greedy"))).toEqual(["create", "start", "oom", "die"]);
  expect((await told({ event: ["exec_create"] })).length).toBe(1);
  for (const each of [id, greedy]) await client.containers.remove(each, { force: true });
});

test("networks and volumes are told around a run", async () => {
  const id = await ran("around", ["true"], { HostConfig: { Binds: ["told:/v:ro"] } });
  await client.containers.remove(id);
  await client.volumes.remove("told");
  const events = await told();
  expect(events.map(({ Type, Action }) => `${Type} ${Action}`)).toEqual([
    ...["volume create", "container create", "network connect", "volume mount", "container start"],
    ...["network disconnect", "volume unmount", "container die", "container destroy", "volume destroy"],
  ]);
  const attributes = (action: string) => events.find(({ Action }) => Action === action)?.Actor.Attributes;
  expect(attributes("mount")).toEqual({
    ...{ container: id, destination: "/v", driver: "local", propagation: "", "read/write": "false" },
  });
  expect(attributes("unmount")).toEqual({ container: id, driver: "local" });
  expect(attributes("connect")).toEqual({ container: id, name: "bridge", type: "bridge" });
});

test("every filter", async () => {
  const first = await ran("one", ["true"], { Labels: { tier: "web" } });
  const second = await ran("two", ["true"], { Labels: { tier: "db", extra: "" } });
  await client.volumes.create({ Name: "data" });
  await client.images.tag("busybox", "tagged", "1");
  const names = async (filters: Record<string, string[]>) =>
    [...new Set((await told(filters)).map(({ Actor }) => Actor.Attributes["name"] ?? Actor.ID))].sort();
  expect(await names({ container: ["one"] })).toEqual(["one"]);
  expect(await names({ container: [second.slice(0, 12), "on"] })).toEqual(["one", "two"]);
  expect(await names({ label: ["tier"] })).toEqual(["one", "two"]);
  expect(await names({ label: ["tier=db"] })).toEqual(["two"]);
  expect(await names({ label: ["tier", "extra"] })).toEqual(["two"]);
  expect(await names({ volume: ["data"] })).toEqual(["data"]);
  expect(await names({ type: ["volume"] })).toEqual(["data"]);
  expect(await names({ type: ["image"] })).toEqual(["tagged:1"]);
  expect(await names({ image: ["busybox"], event: ["die"] })).toEqual(["one", "two"]);
  expect(await names({ image: ["tagged"] })).toEqual(["tagged:1"]);
  expect(await names({ event: ["die", "create"], type: ["container"] })).toEqual(["one", "two"]);
  expect(await names({ scope: ["swarm"] })).toEqual([]);
  for (const key of ["config", "daemon", "network", "node", "plugin", "secret", "service"])
    expect(await names({ [key]: ["nothing-has-this-name"] })).toEqual([]);
  expect(told({ colour: ["red"] })).rejects.toThrow("invalid filter 'colour'");
  await client.volumes.remove("data");
  for (const each of [first, second]) await client.containers.remove(each);
});

test("a prune says what it gave back", async () => {
  const id = await ran("gone", ["sh", "-c", "dd if=/dev/zero of=/x bs=1k count=100"]);
  const { ContainersDeleted, SpaceReclaimed } = await client.containers.prune({});
  expect([ContainersDeleted, SpaceReclaimed]).toEqual([[id], 102_400]);
  const prune = (await told({ event: ["prune"] }))[0];
  expect(prune).toMatchObject({ Type: "container", Actor: { ID: "", Attributes: { reclaimed: "102400" } } });
  expect(prune).not.toHaveProperty("id");
});

test("those who look are told at once, and the past comes first without a gap", async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  const follower = (async () => {
    for await (const { Action } of client.events({
      since,
      filters: { type: ["container"] },
      signal: stop.signal,
    })) {
      seen.push(Action);
      if (Action === "destroy") stop.abort();
    }
  })().catch(() => undefined);
  const id = await ran("watched", ["true"]);
  await client.containers.remove(id);
  await follower;
  expect(seen).toEqual(["create", "start", "die", "destroy"]);
});

test("nothing is lost when the engine is killed, and what ends meanwhile is told once", async () => {
  const id = await run("survivor", ["sleep", "60"]);
  const pid = (await client.containers.inspect(id)).State.Pid;
  await engine.stop("SIGKILL");
  process.kill(pid, "SIGKILL");
  await engine.start();
  client = await engine.client();
  const { exit } = await client.containers.wait(id);
  await exit;
  expect(actions(await told({ container: ["survivor"] }))).toEqual(["create", "start", "die"]);
  await client.containers.remove(id);
});

test("SIGHUP takes labels over from the configuration, and a wrong file changes nothing", async () => {
  const file = join(engine.directory, "daemon.json");
  writeFileSync(file, JSON.stringify({ labels: ["a=1"] }));
  await engine.stop();
  await engine.start("--config-file", file);
  client = await engine.client();
  const labels = async () => (await client.info()).Labels;
  const reload = async (content: string, wanted: RegExp) => {
    writeFileSync(file, content);
    const before = engine.log.length;
    process.kill(engine.pid, "SIGHUP");
    while (!wanted.test(engine.log.slice(before))) await Bun.sleep(10);
  };
  expect(await labels()).toEqual(["a=1"]);
  await reload(JSON.stringify({ labels: ["b=2", "c=3"] }), /took labels/);
  expect(await labels()).toEqual(["b=2", "c=3"]);
  await reload("{ nonsense", /stays as it was/);
  expect(await labels()).toEqual(["b=2", "c=3"]);
  const [event, ...more] = await told({ type: ["daemon"] });
  expect(more).toEqual([]);
  const { ID, Name } = await client.info();
  expect(event).toMatchObject({
    Action: "reload",
    Actor: { ID, Attributes: { name: Name, debug: "false", labels: '["b=2","c=3"]' } },
  });
  expect((await told({ daemon: [Name] })).length).toBe(1);
});

test("a reader that does not read is cut off, and the engine does not grow with it", async () => {
  const answer = await fetch("http://engine/events", { unix: `${engine.directory}/engine.sock` });
  const reader = answer.body?.getReader();
  const before = residentBytes();
  // Rather more than the kernel's and the engine's buffers hold.
  for (let at = 0; at < 1500; at++)
    await client.volumes
      .create({ Name: "loud", Labels: { filler: "x".repeat(10) } })
      .then(async () => await client.volumes.remove("loud"));
  expect(residentBytes() - before).toBeLessThan(64 << 20);
  await reader?.cancel();
  expect((await told({ volume: ["loud"], event: ["destroy"] })).length).toBe(1500);
}, 60_000);

function residentBytes(): number {
  const { stdout } = Bun.spawnSync(["cat", `/proc/${engine.pid}/statm`]);
  return Number(stdout.toString().split(" ")[1]) * 4096;
}

for (const [program, absent] of [
  ["wherry", false],
  // Debian has no docker CLI of this age; where none is installed, wherry's own goes the same way.
  ["docker", dockerCli === null],
] as const)
  describe.skipIf(absent)(program, () => {
    test("prints events, and takes times in every form", async () => {
      const id = await ran("shown", ["true"], { Labels: { z: "1" } });
      const until = await now();
      const ask = async (...args: string[]) =>
        (await engine.cli(program, ["events", "--until", until, "--filter", "container=shown", ...args]))
          .stdout;
      const lines = (await ask("--since", since)).trim().split("\n");
      expect(lines.length).toBe(3);
      expect(lines[0]).toMatch(
        new RegExp(
          `^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}\\S+ container create ${id} \\(image=busybox, name=shown, z=1\\)$`,
        ),
      );
      expect(
        await ask("--since", since, "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"),
      ).toBe("container create shown\ncontainer start shown\ncontainer die shown\n");
      const [json] = (await ask("--since", since, "--format", "json")).split("\n");
      expect(JSON.parse(json ?? "")).toMatchObject({ Type: "container", Actor: { ID: id } });
      const day = new Date(Date.now() - 86_400_000).toISOString();
      for (const time of [day, day.slice(0, 10), day.slice(0, 16), "24h", String(Date.parse(day) / 1000)])
        expect((await ask("--since", time, "--format", "{{.Action}}")).split("\n").slice(-4, -1)).toEqual([
          ...["create", "start", "die"],
        ]);
      await client.containers.remove(id);
    });
  });
