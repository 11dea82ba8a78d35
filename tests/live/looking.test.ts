/** What running containers do, seen through the API and both command lines. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "#client/client.ts";
import type { StatsAnswer } from "#spec/docker-stats.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { until } from "./told.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => await engine.removeContainers());

async function run(name: string, cmd: string[], HostConfig = {}): Promise<string> {
  const { Id } = await client.containers.create({ Image: "busybox", Cmd: cmd, HostConfig }, { name });
  await client.containers.start(Id);
  return Id;
}

describe("stats", () => {
  test("count what a container really uses", async () => {
    const id = await run(
      "busy",
      ["sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=20; while :; do :; done"],
      {
        Memory: 64 << 20,
        NanoCpus: 5e8,
        PidsLimit: 50,
      },
    );
    const answers: StatsAnswer[] = [];
    for await (const answer of client.containers.stats(id)) {
      answers.push(answer);
      const { usage = 0 } = answer.memory_stats;
      if (usage > 20 << 20 && answer.cpu_stats.throttling_data.throttled_periods > 0 && answers.length > 1)
        break;
    }
    const [before, after] = answers.slice(-2) as [StatsAnswer, StatsAnswer];
    expect(after).toMatchObject({ id, name: "/busy", pids_stats: { current: 1, limit: 50 } });
    expect(after.precpu_stats).toEqual(before.cpu_stats);
    expect(after.preread).toBe(before.read);
    expect(after.memory_stats.limit).toBe(64 << 20);
    const spent = after.cpu_stats.cpu_usage.total_usage - before.cpu_stats.cpu_usage.total_usage;
    const seconds = (Date.parse(after.read) - Date.parse(before.read)) / 1000;
    // Half a CPU and not more, however loaded the machine is.
    expect(spent / 1e9).toBeGreaterThan(0);
    expect(spent / 1e9).toBeLessThan(seconds * 0.75);
    expect(after.networks?.["eth0"]?.rx_packets).toBeGreaterThanOrEqual(0);
    expect(Object.keys(after.networks ?? {})).toEqual(["eth0"]);
  });

  test("the network's figures are the container's own", async () => {
    const id = await run("talker", [
      "sh",
      "-c",
      "ping -c 2 -w 5 172.17.0.1 || wget -q -T 1 -O- http://172.17.0.1/; sleep 60",
    ]);
    for await (const { networks } of client.containers.stats(id))
      if ((networks?.["eth0"]?.tx_bytes ?? 0) > 0) break;
    const host = await run("sharing", ["sleep", "60"], { NetworkMode: "host" });
    expect(await client.containers.statsOnce(host, { oneShot: true })).not.toHaveProperty("networks");
    const none = await run("alone", ["sleep", "60"], { NetworkMode: "none" });
    expect(await client.containers.statsOnce(none, { oneShot: true })).not.toHaveProperty("networks");
  });

  test("go on over an end, and end with the container", async () => {
    const id = await run("short", ["sleep", "60"]);
    const states: boolean[] = [];
    for await (const { pids_stats } of client.containers.stats(id)) {
      states.push(pids_stats.current !== undefined);
      if (states.length === 1) await client.containers.kill(id, "KILL");
      else await client.containers.remove(id, { force: true });
    }
    expect([states[0], states.at(-1)]).toEqual([true, false]);
  });
});

test("top shows host pids, by any columns that have them", async () => {
  const id = await run("two", ["sh", "-c", "sleep 61 & sleep 60"]);
  const { State } = await client.containers.inspect(id);
  let all = await client.containers.top(id);
  while ((all.Processes?.length ?? 0) < 2) all = await client.containers.top(id);
  expect(all.Titles).toEqual(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
  expect(all.Processes?.map((cells) => cells.at(-1)).sort()).toContain("sleep 61");
  expect(all.Processes?.map(([, pid]) => Number(pid))).toContain(State.Pid);
  expect(await client.containers.top(id, "-o pid,comm")).toMatchObject({ Titles: ["PID", "COMMAND"] });
  expect(client.containers.top(id, "-eo comm")).rejects.toThrow("Couldn't find PID field in ps output");
  await client.containers.kill(id, "KILL");
  const { exit } = await client.containers.wait(id);
  await exit;
  expect(client.containers.top(id)).rejects.toThrow(`container ${id} is not running`);
});

for (const [program, absent] of [
  ["wherry", false],
  // Debian has no docker CLI of this age; where none is installed, wherry's own goes the same way.
  ["docker", dockerCli === null],
] as const)
  describe.skipIf(absent)(program, () => {
    test("stats and top print tables", async () => {
      await run("c1", ["sleep", "60"], { Memory: 32 << 20 });
      await client.containers.create({ Image: "busybox", Cmd: ["true"], HostConfig: {} }, { name: "c2" });
      const once = await engine.cli(program, [
        "stats",
        "--no-stream",
        "-a",
        "--format",
        "{{.Name}} {{.PIDs}} {{.MemUsage}}",
      ]);
      expect(once.stdout).toMatch(/^c2 0 0B \/ 0B\nc1 1 .*iB \/ 32MiB\n$/);
      const table = await engine.cli(program, ["stats", "--no-stream", "c1"]);
      expect(table.stdout.split("\n")[0]?.split(/ {2,}/)).toEqual([
        ...["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"],
      ]);
      const top = await engine.cli(program, ["top", "c1", "-o", "pid,comm"]);
      expect(top.stdout).toMatch(/^PID {17}COMMAND\n\d+ +sleep\n$/);
      expect(await engine.cli(program, ["stats", "--no-stream", "none"])).toMatchObject({
        code: 1,
        stderr: "Error response from daemon: No such container: none\n",
      });
    });
  });

test.skipIf(dockerCli === null)(
  "both command lines print the same (skipped without the docker CLI)",
  async () => {
    await run("one", ["sleep", "600"], {
      PortBindings: { "80/tcp": [{ HostPort: "18080" }] },
      Binds: ["v1:/v"],
    });
    await client.containers.create(
      { Image: "busybox", Cmd: ["sh", "-c", "echo a rather long command"], HostConfig: {} },
      { name: "two" },
    );
    const lines = [
      "ps -aq",
      "ps -a --no-trunc --format {{.ID}}|{{.Names}}|{{.Image}}|{{.Command}}|{{.Ports}}|{{.State}}|{{.Mounts}}|{{.Networks}}|{{.LocalVolumes}}|{{.CreatedAt}}",
      'ps --format {{.Label "none"}}{{.Names|upper}}',
      "ps --filter status=nonsense",
      "ps --filter nonsense=x",
      "ps -n x",
      "ps --bogus",
      "port one",
      "port one 80",
      "port one 81",
      "inspect one two",
      "inspect one nothing",
      "inspect --type bogus one",
      "inspect -f {{.State.Status}}{{range.Mounts}}{{.Destination}}{{end}} one two",
      "inspect -f {{.State.Health.Status}} one",
      "inspect -f json two",
      "container inspect nothing",
      "image inspect busybox",
      "top one",
      "top two",
      "top",
      "stats --no-stream two",
      "system df --format json",
      "container nothing",
      "nothing",
    ];
    for (const line of lines) {
      const args = line.split(/ (?!"|rather|long|command)/);
      const [docker, wherry] = [await engine.cli("docker", args), await engine.cli("wherry", args)];
      const renamed = {
        ...docker,
        stdout: docker.stdout,
        stderr: docker.stderr.replaceAll("docker", "wherry"),
      };
      expect([line, wherry]).toEqual([line, renamed]);
    }
    await client.containers.remove("one", { force: true });
    await client.volumes.remove("v1");
  },
  60_000,
);

describe("space", () => {
  test("is counted and given back", async () => {
    const { Id } = await client.containers.create({
      Image: "busybox",
      Cmd: ["sh", "-c", "dd if=/dev/zero of=/x bs=1000 count=500; dd if=/dev/zero of=/v/y bs=1000 count=30"],
      HostConfig: { Binds: ["kept:/v"] },
    });
    const { exit } = await client.containers.wait(Id, "next-exit");
    await client.containers.start(Id);
    await exit;
    await run("stays", ["sleep", "60"]);
    const usage = await client.diskUsage();
    expect(usage.Containers?.find((each) => each.Id === Id)?.SizeRw).toBe(500_000);
    expect(usage.Volumes).toMatchObject([{ Name: "kept", UsageData: { RefCount: 1, Size: 30_000 } }]);
    expect(usage.Images).toMatchObject([{ Containers: 2, SharedSize: 0, Size: usage.LayersSize }]);
    for (const program of dockerCli === null ? ["wherry"] : ["wherry", "docker"]) {
      const table = await engine.cli(program, [
        "system",
        "df",
        "--format",
        "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}",
      ]);
      expect(table.stdout.split("\n").slice(1, 3)).toEqual([
        "Containers 2 1 500kB 500kB (100%)",
        "Local Volumes 1 1 30kB 0B (0%)",
      ]);
      const verbose = await engine.cli(program, ["system", "df", "-v"]);
      expect(verbose.stdout).toContain("Containers space usage:\n\nCONTAINER ID   IMAGE     COMMAND ");
    }
    expect(await engine.cli("wherry", ["container", "prune"], { input: "n\n" })).toMatchObject({ code: 0 });
    expect((await client.containers.list({ all: true })).length).toBe(2);
    const pruned = await engine.cli("wherry", ["container", "prune"], { input: "y\n" });
    expect(pruned.stdout).toEndWith(`Deleted Containers:\n${Id}\n\nTotal reclaimed space: 500kB\n`);
    expect((await client.containers.list({ all: true })).map(({ Names }) => Names)).toEqual([["/stays"]]);
    await client.containers.remove("stays", { force: true });
    await client.volumes.remove("kept");
  });

  test("prune keeps what its filters do not name", async () => {
    const make = async (name: string, Labels: Record<string, string>) =>
      (await client.containers.create({ Image: "busybox", Cmd: ["true"], Labels, HostConfig: {} }, { name }))
        .Id;
    const [web, db] = [await make("web", { tier: "web" }), await make("db", { tier: "db" })];
    expect((await client.containers.prune({ until: ["1h"] })).ContainersDeleted).toBeNull();
    expect((await client.containers.prune({ "label!": ["tier=db"] })).ContainersDeleted).toEqual([web]);
    expect((await client.containers.prune({ label: ["tier=web"] })).ContainersDeleted).toBeNull();
    expect(
      (await client.containers.prune({ label: ["tier"], until: [String(Date.now() / 1000 + 5)] }))
        .ContainersDeleted,
    ).toEqual([db]);
    expect(client.containers.prune({ colour: ["red"] })).rejects.toThrow("invalid filter 'colour'");
  });
});

test("the live table follows what starts and ends", async () => {
  const shown = engine.spawn("wherry", ["stats"]);
  let screen = "";
  shown.stdout?.on("data", (part: Buffer) => {
    screen = part.toString();
  });
  await until(() => screen.includes("CONTAINER ID"));
  const id = await run("later", ["sleep", "60"]);
  await until(() => screen.includes("later"));
  await client.containers.kill(id, "KILL");
  await until(() => screen.includes("CONTAINER ID") && !screen.includes("later"));
  shown.kill("SIGINT");
  await new Promise((resolve) => shown.once("close", resolve));
  expect(shown.exitCode ?? 0).toBe(0);
}, 30_000);
