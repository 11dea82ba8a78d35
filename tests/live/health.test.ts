/** Health checks against a real engine: probes of every kind, what they leave behind, and what comes of their results. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "#client/client.ts";
import type { CreateBody } from "#client/containers.ts";
import { Fault } from "#spec/fault.ts";
import type { Healthcheck } from "#spec/image.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { processesWith, toldOf, until, untilState } from "./told.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => await engine.removeContainers());

const ms = 1e6;
const often = { Interval: 60 * ms, Retries: 2 };

async function checked(
  Test: string[],
  more: Healthcheck = {},
  body: Partial<CreateBody> & { script?: string } = {},
): Promise<string> {
  const { script = "sleep 1000", ...rest } = body;
  const { Id } = await client.containers.create({
    ...{ Image: "busybox", Cmd: ["sh", "-c", script], HostConfig: {} },
    Healthcheck: { ...often, ...more, Test },
    ...rest,
  });
  await client.containers.start(Id);
  return Id;
}

async function untilHealth(id: string, status: string, streak = 0): Promise<string> {
  const { Health } = await untilState(
    client,
    id,
    ({ Health: seen }) => seen?.Status === status && seen.FailingStreak >= streak,
  );
  return Health?.Log?.at(-1)?.Output ?? "";
}

async function inside(id: string, ...Cmd: string[]): Promise<void> {
  await client.containers.startExecDetached(await client.containers.createExec(id, { Cmd }));
}

async function statusText(id: string): Promise<string> {
  const [only] = await client.containers.list({ all: true, filters: { id: [id] } });
  return only?.Status ?? "";
}

describe("a command", () => {
  test("healthy, then unhealthy after two failures, then healthy again; told once each", async () => {
    const id = await checked(["CMD-SHELL", "echo out; echo err >&2; test ! -f /bad"]);
    expect(await statusText(id)).toMatch(/^Up .*\(health: starting\)$/);
    const output = await untilHealth(id, "healthy");
    expect(output.split("\n").sort()).toEqual(["", "err", "out"]);
    expect(await statusText(id)).toEndWith("(healthy)");
    await inside(id, "touch", "/bad");
    await untilHealth(id, "unhealthy", 5);
    expect(await statusText(id)).toEndWith("(unhealthy)");
    const { State } = await client.containers.inspect(id);
    expect(State.Health?.Log).toHaveLength(5);
    expect(State.Health?.Log?.at(-1)).toMatchObject({ ExitCode: 1 });
    await inside(id, "rm", "/bad");
    await untilHealth(id, "healthy");
    const told = await toldOf(client, id);
    expect(told.filter((each) => each.startsWith("health"))).toEqual([
      "health_status: healthy",
      "health_status: unhealthy",
      "health_status: healthy",
    ]);
    const words = "/bin/sh -c echo out; echo err >&2; test ! -f /bad";
    expect(told.slice(2, 5)).toEqual([`exec_create: ${words}`, `exec_start: ${words}`, "exec_die 0"]);
    const healthy = await client.containers.list({ filters: { health: ["healthy"] } });
    expect(healthy.map(({ Id }) => Id)).toEqual([id]);
    expect(await client.containers.list({ filters: { health: ["none", "starting"] } })).toEqual([]);
  });

  test("runs in the container: its user, directory, environment and shell", async () => {
    const id = await checked(
      ["CMD-SHELL", 'echo "$(id -u) $(pwd) $X $0"'],
      {},
      {
        User: "web",
        WorkingDir: "/tmp",
        Env: ["X=1"],
        Shell: ["/bin/sh", "-ec"],
      },
    );
    expect(await untilHealth(id, "healthy")).toBe("33 /tmp 1 /bin/sh\n");
  });

  test("that is not there counts as a failure", async () => {
    const id = await checked(["CMD", "nope"]);
    expect(await untilHealth(id, "unhealthy")).toBe(
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in $PATH: unknown',
    );
    const { Health } = (await client.containers.inspect(id)).State;
    expect(Health?.Log?.at(-1)?.ExitCode).toBe(-1);
  });

  test("that says much is cut as Docker cuts", async () => {
    const id = await checked(["CMD", "seq", "1", "5000"]);
    const output = await untilHealth(id, "healthy");
    expect(output).toHaveLength(4099);
    expect(output).toEndWith("\n104...");
  });

  test("that hangs is killed together with its children, and says what it said", async () => {
    const id = await checked(["CMD-SHELL", "echo hi; sleep 31337 & sleep 31338"], {
      ...{ Timeout: 1000 * ms, Retries: 1 },
    });
    expect(await untilHealth(id, "unhealthy")).toBe("Health check exceeded timeout (1s): hi\n");
    await client.containers.pause(id);
    await client.containers.unpause(id);
    await client.containers.stop(id, { seconds: 0 });
    for (const words of ["sleep 31337", "sleep 31338"])
      await until(async () => (processesWith(words).length === 0 ? true : undefined), `the end of ${words}`);
    expect((await toldOf(client, id)).filter((each) => each.startsWith("exec_die"))).not.toEqual([]);
  });

  test("leaves a child behind that holds its output open, and is not held up by it", async () => {
    const id = await checked(["CMD-SHELL", "sleep 5 & echo done"], { Timeout: 2000 * ms });
    expect(await untilHealth(id, "healthy")).toBe("done\n");
  });
});

describe("periods", () => {
  test("in the start period failures do not count, and it is asked in its own interval", async () => {
    const id = await checked(["CMD", "test", "-f", "/up"], {
      ...{ Interval: 3600e9, StartInterval: 50 * ms, StartPeriod: 3600e9, Retries: 1 },
    });
    await untilState(client, id, ({ Health }) => (Health?.Log?.length ?? 0) >= 3);
    expect((await client.containers.inspect(id)).State.Health).toMatchObject({
      Status: "starting",
      FailingStreak: 0,
    });
    await inside(id, "touch", "/up");
    await untilHealth(id, "healthy");
  });

  test("a paused container is not asked; who is not asked is not healthy", async () => {
    const id = await checked(["CMD", "true"]);
    await untilHealth(id, "healthy");
    await client.containers.pause(id);
    const { Health } = (await client.containers.inspect(id)).State;
    expect(Health?.Status).toBe("unhealthy");
    await Bun.sleep(100);
    const before = (await toldOf(client, id)).length;
    await Bun.sleep(200);
    expect(await toldOf(client, id)).toHaveLength(before);
    expect(await statusText(id)).toEndWith("(Paused)");
    await client.containers.unpause(id);
    await untilHealth(id, "healthy");
  });

  test("one container whose probe hangs delays no other", async () => {
    const stuck = await checked(["CMD", "sleep", "1000"], { Timeout: 3600e9 });
    const other = await checked(["CMD", "true"]);
    await untilState(client, other, ({ Health }) => Health?.Log?.length === 5);
    expect((await client.containers.inspect(stuck)).State.Health?.Log).toEqual([]);
  });
});

describe("without a process in the container", () => {
  const server = "mkdir -p /www; echo fine >/www/index.html; exec httpd -f -p 8080 -h /www";

  test.each([
    ["http", ["HTTP", "http://:8080/index.html"], "200 OK\nfine\n"],
    ["http to an address", ["HTTP", "http://127.0.0.1:8080/"], "200 OK\nfine\n"],
    ["tcp", ["TCP", "8080"], "connected to 127.0.0.1 port 8080"],
  ])("%s", async (_, Test, output) => {
    const id = await checked(Test, {}, { script: server });
    expect(await untilHealth(id, "healthy")).toBe(output);
    expect((await toldOf(client, id)).filter((each) => each.startsWith("exec"))).toEqual([]);
  });

  test("works without a network, and in one of another container", async () => {
    const donor = await checked(["TCP", "8080"], {}, { script: server, HostConfig: { NetworkMode: "none" } });
    const joined = await checked(
      ["HTTP", "http://:8080"],
      {},
      { HostConfig: { NetworkMode: `container:${donor}` } },
    );
    await untilHealth(donor, "healthy");
    await untilHealth(joined, "healthy");
  });

  test.each([
    ["a status of failure", ["HTTP", "http://:8080/missing"], /^404 Not Found\n/],
    ["nobody there", ["HTTP", "http://:81/"], /^connect to 127.0.0.1 port 81: connection refused$/],
    ["nobody there", ["TCP", "81"], /^connect to 127.0.0.1 port 81: connection refused$/],
  ])("%s is a failure", async (_, Test, output) => {
    const id = await checked(Test, {}, { script: server });
    await untilState(client, id, ({ Health }) => output.test(Health?.Log?.at(-1)?.Output ?? ""));
    await untilHealth(id, "unhealthy", 2);
    const { Health } = (await client.containers.inspect(id)).State;
    expect(Health?.Log?.at(-1)?.ExitCode).toBe(1);
  });

  test("an answer that does not come is waited for no longer than the timeout", async () => {
    // The kernel accepts for a server that stands still.
    const script = "httpd -f -p 8080 & sleep 0.2; kill -STOP $!; wait";
    const id = await checked(["HTTP", "http://:8080/"], { Timeout: 100 * ms }, { script });
    await untilState(
      client,
      id,
      ({ Health }) => Health?.Log?.at(-1)?.Output === "Health check exceeded timeout (100ms)",
    );
  });
});

describe("create", () => {
  test.each([
    [["FOO", "x"], 'unknown Test "FOO" in Healthcheck'],
    [["CMD"], "Test in Healthcheck names no command behind CMD"],
    [["TCP", "web:80"], '"web" is no address'],
    [["TCP", "70000"], "there is no port 70000"],
    [["HTTP", "https://:443/"], "https is not supported"],
    [["HTTP", "http://:80/ x"], "is no http://"],
  ])("refuses %p", async (Test, words) => {
    const thrown = await client.containers
      .create({ Image: "busybox", HostConfig: {}, Healthcheck: { Test } })
      .catch((error: unknown) => Fault.from(error));
    expect(thrown).toMatchObject({ kind: "invalid", message: expect.stringContaining(words) });
  });

  test("an image's check is inherited, changed in part, and done without", async () => {
    const directory = join(engine.directory, "context");
    mkdirSync(directory);
    writeFileSync(
      join(directory, "Dockerfile"),
      "FROM busybox\nHEALTHCHECK --interval=60ms --retries=2 CMD test -f /up\n",
    );
    const built = await engine.cli("wherry", ["build", "-q", "-t", "checked", directory]);
    expect(built.stderr).toBe("");
    const inherited = await client.containers.create({
      Image: "checked",
      Cmd: ["sleep", "99"],
      HostConfig: {},
    });
    await client.containers.start(inherited.Id);
    await untilHealth(inherited.Id, "unhealthy");
    const run = await engine.cli("wherry", [
      ...["run", "-d", "--health-cmd", "true", "--health-retries", "7", "checked", "sleep", "99"],
    ]);
    const changed = run.stdout.trim();
    await untilHealth(changed, "healthy");
    expect((await client.containers.inspect(changed)).Config.Healthcheck).toEqual({
      ...{ Test: ["CMD-SHELL", "true"], Interval: 60 * ms, Retries: 7 },
    });
    const without = await engine.cli("wherry", ["run", "-d", "--no-healthcheck", "checked", "sleep", "99"]);
    expect((await client.containers.inspect(without.stdout.trim())).State.Health).toBeUndefined();
  });
});

describe("--restart on-unhealthy", () => {
  test("restarts the container, which says why", async () => {
    const id = await checked(
      ["CMD", "test", "!", "-f", "/tmp/bad"],
      {},
      {
        HostConfig: { RestartPolicy: { Name: "on-unhealthy", MaximumRetryCount: 1 }, Tmpfs: { "/tmp": "" } },
        script: "trap 'exit 0' TERM; while :; do sleep 0.02; done",
      },
    );
    await untilHealth(id, "healthy");
    await inside(id, "touch", "/tmp/bad");
    await untilState(
      client,
      id,
      ({ Status, Health }, count) => count === 1 && Status === "running" && Health?.Status === "healthy",
    );
    const { State } = await client.containers.inspect(id);
    expect(State.Previous).toMatchObject({ ExitCode: 0, Ending: { By: "unhealthy" } });
    const told = (await toldOf(client, id)).filter((each) => !each.startsWith("exec"));
    expect(told.slice(2)).toEqual([
      ...[
        "health_status: healthy",
        "health_status: unhealthy",
        "kill 15",
        "die 0",
        "start",
        "health_status: healthy",
      ],
    ]);
    // Its one restart is used up.
    await inside(id, "touch", "/tmp/bad");
    await untilHealth(id, "unhealthy", 4);
    expect((await client.containers.inspect(id)).RestartCount).toBe(1);
  });
});

test.skipIf(dockerCli === null)("the docker CLI shows it", async () => {
  const run = async (...args: string[]) => (await engine.cli("docker", args)).stdout.trim();
  const id = await run(
    ...[
      "run",
      "-d",
      "--name",
      "checked",
      "--health-cmd",
      "echo up",
      "--health-interval",
      "60ms",
      "busybox",
      "sleep",
      "99",
    ],
  );
  await untilHealth(id, "healthy");
  expect(await run("ps", "--filter", "health=healthy", "--format", "{{.Names}} {{.Status}}")).toMatch(
    /^checked Up .* \(healthy\)$/,
  );
  expect(
    await run("inspect", "-f", "{{.State.Health.Status}} {{(index .State.Health.Log 0).Output}}", id),
  ).toBe("healthy up");
});

test("why: one page on a container that was restarted, and on one killed for want of memory", async () => {
  const HostConfig = { RestartPolicy: { Name: "on-unhealthy" } } as const;
  const id = await checked(
    ["CMD-SHELL", "echo no answer; false"],
    { Retries: 1 },
    { HostConfig, StopTimeout: 0 },
  );
  await untilState(
    client,
    id,
    ({ Status, Health }, count) => count === 1 && Status === "running" && !Health?.FailingStreak,
  );
  await client.containers.pause(id);
  await client.containers.unpause(id);
  const restarted = await engine.cli("wherry", ["why", id]);
  expect(restarted.stdout).toContain("its restart policy ended it, being unhealthy");
  expect(restarted.stdout).toMatch(/failed with 1\. no answer/);
  expect(restarted.stdout).toContain("Restarted once since a user last started it.");
  const eater = "echo eating; x=a; while :; do x=$x$x; done";
  const body = {
    Image: "busybox",
    Cmd: ["sh", "-c", eater],
    HostConfig: { Memory: 8 << 20, MemorySwap: 8 << 20 },
  };
  await client.containers.create(body, { name: "eater" });
  await client.containers.start("eater");
  await untilState(client, "eater", ({ Status }) => Status === "exited");
  const { code, stdout } = await engine.cli("wherry", ["why", "eater"]);
  expect(code).toBe(0);
  expect(stdout).toContain("with exit code 137 (SIGKILL: killed");
  expect(stdout).toContain("The kernel killed a process of it for want of memory: its limit is 8 MiB.");
  expect(stdout).toEndWith("\nLast output\n  eating\n");
  const absent = await engine.cli("wherry", ["why", "nobody"]);
  expect([absent.code, absent.stderr]).toEqual([
    1,
    "Error response from daemon: No such container: nobody\n",
  ]);
});
