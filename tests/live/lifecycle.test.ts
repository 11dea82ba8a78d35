/** Lives of containers, as dockerd tells them: what each request does in each state, and in which words it is refused. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "#client/client.ts";
import type { CreateBody } from "#client/containers.ts";
import type { HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { toldOf, untilState } from "./told.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => await engine.removeContainers());

const trapping = "trap 'exit 5' TERM; echo; while :; do sleep 0.02; done";

async function create(
  script: string,
  host: HostConfig = {},
  more: Partial<CreateBody> = {},
): Promise<string> {
  const body = { Image: "busybox", Cmd: ["sh", "-c", script], HostConfig: host, ...more };
  return (await client.containers.create(body)).Id;
}

async function running(script: string, host: HostConfig = {}): Promise<string> {
  const id = await create(script, host);
  await client.containers.start(id);
  return id;
}

/** Resolves when the script, which so tells that its traps are set, has said something. */
async function ready(script: string, host: HostConfig = {}): Promise<string> {
  const id = await running(script, host);
  const logs = await client.containers.logs(id, { follow: true });
  for await (const _ of logs.body) break;
  return id;
}

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "accepted";
  } catch (thrown) {
    const { kind, message } = Fault.from(thrown);
    return `${kind}: ${message}`;
  }
}

/** Between two runs: its next restart is far enough away to be looked at. */
async function restarting(): Promise<string> {
  const id = await running("exit 3", { RestartPolicy: { Name: "always" } });
  const farMs = 500;
  await untilState(client, id, ({ RestartAt }) => Date.parse(RestartAt ?? "") > Date.now() + farMs);
  return id;
}

describe("events and states", () => {
  test("stop: the signal, the end, the word", async () => {
    const id = await ready(trapping);
    expect(await client.containers.stop(id)).toBe(true);
    expect(await toldOf(client, id)).toEqual(["create", "start", "kill 15", "die 5", "stop"]);
    const { State } = await client.containers.inspect(id);
    expect(State).toMatchObject({ Status: "exited", Running: false, Pid: 0, ExitCode: 5, OOMKilled: false });
    expect(State.Ending).toMatchObject({ By: "stop", Signal: 15 });
    expect(await client.containers.stop(id)).toBe(false);
  });

  test("stop with a signal of its own that is not heeded: SIGKILL after the grace", async () => {
    const id = await ready("trap '' USR1; echo; while :; do sleep 0.02; done");
    await client.containers.stop(id, { seconds: 0, signal: "SIGUSR1" });
    expect((await toldOf(client, id)).slice(2)).toEqual(["kill 10", "kill 9", "die 137", "stop"]);
  });

  test("restart tells of its stop, keeps an --rm container and the time of the last end", async () => {
    const id = await ready(trapping, { AutoRemove: true });
    await client.containers.restart(id);
    expect((await toldOf(client, id)).slice(2)).toEqual(["kill 15", "die 5", "stop", "start", "restart"]);
    const { State } = await client.containers.inspect(id);
    expect(State).toMatchObject({ Status: "running", ExitCode: 0 });
    expect(State.FinishedAt > "2000").toBe(true);
    expect(State.Previous).toMatchObject({ ExitCode: 5, Ending: { By: "restart" } });
  });

  test("a paused container is refused what cannot be, thawed by its stop signal, killed as it is", async () => {
    const id = await ready(trapping);
    await client.containers.pause(id);
    expect(await refusal(client.containers.pause(id))).toBe(`conflict: Container ${id} is already paused`);
    expect(await refusal(client.containers.start(id))).toContain("cannot start a paused container");
    expect(await refusal(client.containers.remove(id))).toContain("is paused and must be unpaused first");
    await client.containers.stop(id);
    expect((await toldOf(client, id)).slice(2)).toEqual(["pause", "kill 15", "unpause", "die 5", "stop"]);
    await client.containers.start(id);
    await client.containers.pause(id);
    await client.containers.kill(id, "KILL");
    // It has ended when the request returns, as with Docker: `kill` and `rm` in one breath.
    const { ExitCode, Status } = (await client.containers.inspect(id)).State;
    expect([Status, ExitCode]).toEqual(["exited", 137]);
    expect(await refusal(client.containers.unpause(id))).toBe(`conflict: Container ${id} is not paused`);
  });

  test("a signal that ends nothing is no stop", async () => {
    const id = await ready("trap 'echo usr' USR1; echo; while :; do sleep 0.02; done", {
      RestartPolicy: { Name: "always" },
    });
    await client.containers.kill(id, "USR1");
    expect((await client.containers.inspect(id)).State.Ending).toBeUndefined();
    await client.containers.kill(id, "SIGKILL");
    await untilState(client, id, ({ Status }) => Status === "exited");
    expect(await refusal(client.containers.kill(id, "KILL"))).toBe(
      `conflict: cannot kill container: ${id}: container ${id} is not running`,
    );
    expect(await refusal(client.containers.kill("nobody", "FOO"))).toContain("invalid signal: FOO");
    expect(await refusal(client.containers.kill(id, "FOO"))).toBe(
      `invalid: cannot kill container: ${id}: invalid signal: FOO`,
    );
  });

  test("rename, and its refusals", async () => {
    const { Id: id } = await client.containers.create(
      { Image: "busybox", HostConfig: {} },
      { name: "before" },
    );
    await create("true");
    await client.containers.rename("before", "behind");
    expect(await toldOf(client, id)).toEqual(["create", "rename"]);
    expect(await refusal(client.containers.rename("behind", "behind"))).toBe(
      "invalid: Renaming a container with the same name as its current name",
    );
    expect(await refusal(client.containers.rename("behind", "a b"))).toContain(
      "invalid: Error when allocating new name: Invalid container name (a b)",
    );
    await client.containers.create({ Image: "busybox", HostConfig: {} }, { name: "other" });
    expect(await refusal(client.containers.rename("behind", "other"))).toContain(
      'conflict: Error when allocating new name: Conflict. The container name "/other" is already in use',
    );
  });

  test("a container killed for want of memory says so, when it happens", async () => {
    const eater = "x=a; while :; do x=$x$x; done";
    const id = await running(`sh -c '${eater}'; echo; sleep 100`, { Memory: 8 << 20, MemorySwap: 8 << 20 });
    const alive = await untilState(client, id, ({ OOMKilled }) => OOMKilled);
    expect(alive.Status).toBe("running");
    await client.containers.stop(id, { seconds: 0 });
    expect((await toldOf(client, id)).filter((each) => each.startsWith("oom"))).toEqual(["oom"]);
  });
});

describe("exit codes", () => {
  test.each([
    ["its own", "echo; exit 42", undefined, 42],
    ["of SIGTERM", "trap 'exit 143' TERM; echo; while :; do sleep 0.02; done", "TERM", 143],
    ["of SIGKILL", "echo; sleep 100", "9", 137],
    ["of a signal by its number", "trap 'exit 138' USR1; echo; while :; do sleep 0.02; done", "10", 138],
  ])("%s", async (_, script, signal, code) => {
    const id = await ready(script);
    if (signal !== undefined) await client.containers.kill(id, signal);
    expect((await untilState(client, id, ({ Status }) => Status === "exited")).ExitCode).toBe(code);
  });

  test.each([
    ["a command that is not there", ["nope"], 127, 'exec: "nope": executable file not found in $PATH'],
    ["one that is no program", ["/etc"], 126, "permission denied"],
  ])("%s leaves it created, with the error", async (_, Cmd, code, error) => {
    const { Id } = await client.containers.create({ Image: "busybox", Cmd, HostConfig: {} });
    expect(await refusal(client.containers.start(Id))).toContain(error);
    const { State } = await client.containers.inspect(Id);
    expect(State).toMatchObject({ Status: "created", ExitCode: code, StartedAt: "0001-01-01T00:00:00Z" });
    expect(State.Error).toContain(error);
    expect(await toldOf(client, Id)).toEqual(["create"]);
  });
});

describe("restart policies", () => {
  test("on-failure:2 comes back twice, counts, and stays down", async () => {
    const id = await running("exit 3", { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } });
    await untilState(client, id, (_, count) => count === 2);
    await (await client.containers.wait(id)).exit;
    const { State, RestartCount } = await client.containers.inspect(id);
    expect(State).toMatchObject({ Status: "exited", ExitCode: 3, Restarting: false });
    expect(RestartCount).toBe(2);
    expect((await toldOf(client, id)).filter((each) => each === "die 3")).toHaveLength(3);
  });

  test("between two runs it counts as running, and says when it goes on", async () => {
    const id = await restarting();
    const { State } = await client.containers.inspect(id);
    expect(State).toMatchObject({
      Status: "restarting",
      Running: true,
      Restarting: true,
      Pid: 0,
      ExitCode: 3,
    });
    expect(Date.parse(State.RestartAt ?? "")).toBeGreaterThan(Date.parse(State.FinishedAt));
    expect(await client.containers.start(id)).toBe(false);
    expect(await refusal(client.containers.pause(id))).toContain("is restarting, wait until");
    expect(await refusal(client.containers.remove(id))).toContain(
      "container is restarting: stop the container",
    );
  });

  test.each(["stop", "kill"] as const)("%s calls the restart off", async (verb) => {
    const id = await restarting();
    const { exit } = await client.containers.wait(id, "not-running");
    if (verb === "stop") expect(await client.containers.stop(id)).toBe(true);
    else await client.containers.kill(id, "KILL");
    expect((await exit).StatusCode).toBe(3);
    const { State } = await client.containers.inspect(id);
    expect(State).toMatchObject({ Status: "exited", ExitCode: 3, Restarting: false });
    expect(State.RestartAt).toBeUndefined();
  });

  test("a user's restart starts it at once, with the count at zero", async () => {
    const id = await restarting();
    await client.containers.restart(id);
    expect((await client.containers.inspect(id)).RestartCount).toBeLessThan(3);
    expect((await toldOf(client, id)).filter((each) => /^(stop|restart)$/.test(each))).toEqual([
      "stop",
      "restart",
    ]);
  });
});

describe("wait", () => {
  test("answers at once for one at rest, at the end for one that runs, and when it is gone", async () => {
    const id = await create("exit 7");
    expect((await (await client.containers.wait(id)).exit).StatusCode).toBe(0);
    const { exit: next } = await client.containers.wait(id, "next-exit");
    const { exit: gone } = await client.containers.wait(id, "removed");
    await client.containers.start(id);
    expect((await next).StatusCode).toBe(7);
    await client.containers.remove(id);
    expect((await gone).StatusCode).toBe(7);
    expect(await refusal(client.containers.wait(id))).toContain("not-found");
  });

  test("knows three conditions", async () => {
    const id = await create("true");
    const refused = refusal(client.containers.wait(id, "whenever" as "removed"));
    expect(await refused).toBe('invalid: invalid condition: "whenever"');
  });
});

describe("a container that shares namespaces of another one", () => {
  const modes = (donor: string): [string, HostConfig, string][] => [
    ["network", { NetworkMode: `container:${donor}` }, "cannot join network of a non running container"],
    ["pid", { PidMode: `container:${donor}` }, "failed to join PID namespace"],
    ["ipc", { IpcMode: `container:${donor}` }, "failed to join IPC namespace"],
  ];

  test("is not started without it, and says why", async () => {
    const donor = await running("sleep 100", { IpcMode: "shareable", NetworkMode: "none" });
    await client.containers.rename(donor, "donor");
    for (const [kind, host, words] of modes("donor")) {
      const id = await create("true", host);
      await client.containers.start(id);
      // While it runs, a start has nothing to do.
      await untilState(client, id, ({ Status }) => Status === "exited");
      expect(await client.containers.stop(donor, { seconds: 0 })).toBe(true);
      expect(await refusal(client.containers.start(id))).toStartWith(`conflict: ${words}`);
      expect((await client.containers.inspect(id)).State).toMatchObject({
        Error: expect.stringContaining(words),
      });
      await client.containers.start(donor);
      expect(await client.containers.start(id)).toBe(true);
      expect([kind, (await (await client.containers.wait(id)).exit).StatusCode]).toEqual([kind, 0]);
    }
  });

  test("is not started when it is gone", async () => {
    const donor = await create("true");
    const ids = await Promise.all(modes(donor).map(async ([, host]) => await create("true", host)));
    await client.containers.remove(donor);
    const words = await Promise.all(ids.map(async (id) => await refusal(client.containers.start(id))));
    expect(words[0]).toBe(`not-found: No such container: ${donor}`);
    expect(words[1]).toEndWith(`failed to join PID namespace: No such container: ${donor}`);
    expect(words[2]).toEndWith(`failed to join IPC namespace: No such container: ${donor}`);
    expect(await refusal(create("true", { PidMode: "container:nobody" }))).toBe(
      "invalid: No such container: nobody",
    );
  });

  test("comes back with it: restarts wait for the one they need", async () => {
    const policy: HostConfig = { RestartPolicy: { Name: "always" } };
    const donor = await running("sleep 100", policy);
    const id = await running("sleep 100", { ...policy, PidMode: `container:${donor}` });
    for (const round of [1, 2]) {
      // The end of a pid namespace takes everybody in it along.
      process.kill((await client.containers.inspect(donor)).State.Pid, "SIGKILL");
      await untilState(client, id, ({ Status }, count) => Status === "running" && count === round);
    }
    expect(engine.log).not.toContain("failed to join");
  });
});

describe("many at once", () => {
  test("starts, stops, restarts and removals of one container never leave it in between", async () => {
    const id = await create(trapping);
    const acts = [
      () => client.containers.start(id),
      () => client.containers.stop(id, { seconds: 0 }),
      () => client.containers.restart(id, { seconds: 0 }),
      () => client.containers.kill(id, "KILL"),
      () => client.containers.pause(id),
      () => client.containers.unpause(id),
    ];
    const refused: string[] = [];
    const storm = Array.from({ length: 48 }, async (_, index) => {
      await Bun.sleep((index * 7) % 90);
      await acts[(index * 5) % acts.length]!().catch((thrown: unknown) =>
        refused.push(Fault.from(thrown).message),
      );
    });
    await Promise.all(storm);
    expect(
      refused.filter((each) => !/is not (running|paused)|already paused|a paused container/.test(each)),
    ).toEqual([]);
    await client.containers.remove(id, { force: true });
    expect(await engine.leaks()).toEqual([]);
  });

  test("of two removals one is told that the other is at it", async () => {
    const id = await running("trap '' TERM; echo; while :; do sleep 0.1; done");
    const both = await Promise.all([1, 2].map(() => refusal(client.containers.remove(id, { force: true }))));
    expect(both.sort()).toEqual(["accepted", `conflict: removal of container ${id} is already in progress`]);
  });

  test("one that does not stop holds up nobody: not the list, not its neighbours", async () => {
    const stuck = await ready("trap '' TERM; echo; while :; do sleep 0.1; done");
    const stopping = client.containers.stop(stuck, { seconds: 60 });
    const other = await running("sleep 100");
    await client.containers.stop(other, { seconds: 0 });
    expect((await client.containers.list({ all: true })).map(({ State }) => State).sort()).toEqual([
      "exited",
      "running",
    ]);
    await client.containers.kill(stuck, "KILL");
    expect(await stopping).toBe(true);
  });
});

test.skipIf(dockerCli === null)("the docker CLI sees the same", async () => {
  const run = async (...args: string[]) => await engine.cli("docker", args);
  expect(
    (await run("run", "--name", "first", "--restart", "on-failure:1", "busybox", "sh", "-c", "exit 4")).code,
  ).toBe(4);
  await untilState(client, "first", ({ Status }) => Status === "exited");
  expect((await run("inspect", "-f", "{{.State.ExitCode}} {{.RestartCount}}", "first")).stdout).toBe("4 1\n");
  expect((await run("wait", "first")).stdout).toBe("4\n");
  const missing = await run("run", "--rm", "busybox", "nope");
  expect(missing.code).toBe(127);
  expect(missing.stderr.match(/executable file not found/g)).toHaveLength(1);
  expect((await run("run", "--rm", "busybox", "/etc")).code).toBe(126);
  expect((await run("run", "--rm", "--network", "container:first", "busybox", "true")).code).toBe(125);
  expect((await run("create", "--restart", "on-unhealthy:3", "--name", "second", "busybox")).code).toBe(0);
  expect((await run("inspect", "-f", "{{json .HostConfig.RestartPolicy}}", "second")).stdout).toBe(
    '{"Name":"on-unhealthy","MaximumRetryCount":3}\n',
  );
  expect((await run("create", "--restart", "sometimes", "busybox")).stderr).toContain(
    "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure'",
  );
});
