import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { groupPaths } from "#kernel/cgroups/cgroup.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { conmonFiles } from "./conmon/conmon.ts";
import { RuntimeFixture } from "./runtime-fixture.ts";

let fixture: RuntimeFixture;
const { signal } = new AbortController();
beforeAll(async () => {
  fixture = await RuntimeFixture.open();
});
afterAll(async () => await fixture[Symbol.asyncDispose]());

const sh = (script: string) => ({ Cmd: ["/bin/sh", "-c", script] });

async function started(config: object, host: object = {}): Promise<ContainerRecord> {
  const record = fixture.record(config, host);
  await fixture.runtime.create(fixture.request(record), { signal });
  await fixture.runtime.start(record.id);
  return record;
}

async function ended(record: ContainerRecord): Promise<number> {
  const { exitCode } = await fixture.runtime.exit(record.id, { signal });
  await fixture.runtime.delete(record.id);
  return exitCode;
}

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  return Fault.from(
    await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
}

function traces(id: string): string[] {
  const at = (path: string) => `${fixture.directory}/exec/${path}/${id}`;
  const files = ["runs", "exits", "runtime"].map(at);
  const groups = groupPaths(fixture.runtime.cgroups, `wherry-test-${process.pid}/${id}`);
  return [...files, ...groups].filter((path) => existsSync(path));
}

describe("a run", () => {
  test("has its exit code, its output, its environment, and leaves nothing", async () => {
    const record = await started({
      ...sh("echo out; echo err >&2; env; pwd; id; exit 42"),
      Env: ["A=1", "GONE"],
      WorkingDir: "/made/here",
      User: "web",
    });
    expect(await ended(record)).toBe(42);
    const output = await fixture.output(record);
    expect(output).toContain("out\n");
    expect(output).toContain("err\n");
    for (const line of ["A=1", "HOME=/srv", "HOSTNAME=box", "/made/here"])
      expect(output).toContain(`${line}\n`);
    expect(output).toContain("uid=33(web) gid=44 groups=44,70(logs)");
    expect(output).not.toContain("GONE");
    expect(traces(record.id)).toEqual([]);
    await fixture.runtime.delete(record.id);
  });

  test("is stopped before its first instruction until it is started", async () => {
    const record = fixture.record(sh("echo ran"));
    await fixture.runtime.create(fixture.request(record), { signal });
    expect(await fixture.runtime.reality(record.id)).toEqual({ state: "created" });
    expect(await fixture.output(record)).toBe("");
    await fixture.runtime.delete(record.id);
    expect(await fixture.output(record)).toBe("");
    expect(traces(record.id)).toEqual([]);
  });

  test("is not there before what is done meanwhile, nor without it", async () => {
    const record = fixture.record(sh("echo ran"));
    const first = Promise.withResolvers<void>();
    let made = false;
    const making = fixture.runtime
      .create(fixture.request(record), { signal, meanwhile: async () => await first.promise })
      .then(() => {
        made = true;
      });
    // conmon says the pid to nobody who listens yet.
    while (!existsSync(`${fixture.directory}/exec/runs/${record.id}/pid`)) await Bun.sleep(5);
    expect(made).toBe(false);
    first.resolve();
    await making;
    expect(await fixture.runtime.reality(record.id)).toEqual({ state: "created" });
    await fixture.runtime.delete(record.id);

    const other = fixture.record(sh("echo ran"));
    const meanwhile = async () => {
      throw new Fault("unavailable", "no network");
    };
    const fault = await faultOf(fixture.runtime.create(fixture.request(other), { signal, meanwhile }));
    expect(fault.message).toBe("no network");
    expect(traces(other.id)).toEqual([]);
  });

  test("whose settings look at its network is made after that", async () => {
    const record = fixture.record(sh("true"), { Sysctls: { "net.ipv4.conf.lo.arp_ignore": "1" } });
    let conmonWasThere: boolean | undefined;
    const meanwhile = async () => {
      conmonWasThere = existsSync(`${fixture.directory}/exec/runs/${record.id}/conmon.pid`);
      await Bun.sleep(0);
      throw new Fault("unavailable", "no network");
    };
    const netnsPath = "/proc/self/ns/net";
    await faultOf(fixture.runtime.create(fixture.request(record, { netnsPath }), { signal, meanwhile }));
    expect(conmonWasThere).toBe(false);
    expect(await fixture.output(record).catch(() => "never made")).toBe("never made");
    expect(traces(record.id)).toEqual([]);
  });

  const failures: [string, string[], number, string][] = [
    ["is not there", ["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'],
    ["has a path that is not there", ["/bin/nosuch"], 127, "stat /bin/nosuch: no such file or directory"],
    ["is no program", ["/bin/notes"], 126, 'exec: "/bin/notes": permission denied'],
  ];
  for (const [what, Cmd, exitCode, message] of failures)
    test(`of a command that ${what} exits with ${exitCode} and leaves nothing`, async () => {
      const record = fixture.record({ Cmd });
      const fault = await faultOf(
        fixture.runtime
          .create(fixture.request(record), { signal })
          .then(async () => await fixture.runtime.start(record.id)),
      );
      expect(fault.message).toContain(message);
      expect(fault.detail["exitCode"]).toBe(exitCode);
      await fixture.runtime.delete(record.id);
      expect(traces(record.id)).toEqual([]);
    });

  test("that ends while no engine lives is known afterwards", async () => {
    const record = await started(sh("sleep 0.2; exit 9"));
    fixture.runtime[Symbol.dispose]();
    await Bun.sleep(500);
    await fixture.reopen();
    const reality = await fixture.runtime.reality(record.id);
    expect(reality).toMatchObject({ state: "stopped", exitCode: 9, oomKilled: false });
    expect(await ended(record)).toBe(9);
  });

  test("whose process is gone, and whose end is not written down yet, has ended", async () => {
    const record = await started(sh("exec sleep 1000"));
    const found = await fixture.runtime.reality(record.id);
    const pid = found.state === "running" ? found.pid : 0;
    expect(pid).toBeGreaterThan(1);
    // As when conmon has taken note of the end: its child is none any more.
    await Bun.write(join(fixture.directory, "exec/runs", record.id, conmonFiles.pid), `${process.pid}`);
    const reality = fixture.runtime.reality(record.id);
    process.kill(pid, "SIGKILL");
    expect(await reality).toMatchObject({ state: "stopped", exitCode: 137 });
    expect(await ended(record)).toBe(137);
  });

  test("that goes on is found by the next engine, and can be signalled, paused and resumed", async () => {
    const record = await started(sh("trap 'exit 7' TERM; while :; do sleep 0.05; done"));
    await fixture.reopen();
    expect(await fixture.runtime.list()).toContain(record.id);
    expect(await fixture.runtime.reality(record.id)).toMatchObject({ state: "running" });
    await fixture.runtime.pause(record.id);
    expect(await fixture.runtime.reality(record.id)).toMatchObject({ state: "paused" });
    await fixture.runtime.resume(record.id);
    await Bun.sleep(50);
    await fixture.runtime.signal(record.id, 15);
    expect(await ended(record)).toBe(7);
  });

  test("that is killed exits with 137, also while paused", async () => {
    const record = await started(sh("sleep 60"));
    await fixture.runtime.pause(record.id);
    await fixture.runtime.signal(record.id, 9);
    expect(await ended(record)).toBe(137);
  });

  test("whose conmon was killed ends for the engine too", async () => {
    const record = await started(sh("sleep 60"));
    const pid = Number(await Bun.file(`${fixture.directory}/exec/runs/${record.id}/conmon.pid`).text());
    process.kill(pid, "SIGKILL");
    expect(await ended(record)).toBe(255);
    expect(traces(record.id)).toEqual([]);
  }, 20_000);

  test("stays within its limits", async () => {
    const { output } = await fixture.run(
      sh(
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null",
      ),
      { Memory: 64 << 20, PidsLimit: 50 },
    );
    expect(output).toContain(`${64 << 20}\n`);
    expect(output).toContain("50\n");
    const cpu =
      "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null; ulimit -n; exit 0";
    const ulimits = { Ulimits: [{ Name: "nofile", Soft: 77, Hard: 88 }] };
    expect((await fixture.run(sh(cpu), { NanoCpus: 5e8, ...ulimits })).output).toMatch(
      /^50000( 100000)?\n77\n$/,
    );
    const killed = await fixture.run(sh("tail /dev/zero"), { Memory: 16 << 20 });
    expect(killed).toMatchObject({ exitCode: 137, oomKilled: true });
  });
});

test("namespaces can be the host's, and another container's", async () => {
  const { output } = await fixture.run(sh("for n in pid ipc uts; do readlink /proc/self/ns/$n; done"), {
    PidMode: "host",
    IpcMode: "host",
    UTSMode: "host",
  });
  const own = ["pid", "ipc", "uts"].map((name) => readlinkSync(`/proc/self/ns/${name}`));
  expect(output.trim().split("\n")).toEqual(own);
  const other = fixture.record(sh("echo shared > /dev/shm/x; sleep 60"), { IpcMode: "shareable" });
  const { pid } = await fixture.runtime.create(fixture.request(other), { signal });
  await fixture.runtime.start(other.id);
  const record = fixture.record(
    sh(
      "for n in pid ipc; do readlink /proc/self/ns/$n; done; until cat /dev/shm/x; do sleep 0.01; done 2>/dev/null",
    ),
  );
  const joined = { pid, ipc: pid };
  const theirs = ["pid", "ipc"].map((name) => readlinkSync(`/proc/${pid}/ns/${name}`));
  await fixture.runtime.create(fixture.request(record, { joined }), { signal });
  await fixture.runtime.start(record.id);
  expect(await ended(record)).toBe(0);
  expect((await fixture.output(record)).trim().split("\n")).toEqual([...theirs, "shared"]);
  await fixture.runtime.delete(other.id);
  expect(traces(other.id)).toEqual([]);
  expect(await Bun.file("/proc/self/mounts").text()).not.toContain(other.id);

  const alone = await started(sh("sleep 60"));
  const first = await fixture.runtime.reality(alone.id);
  const stranger = fixture.request(fixture.record(sh("")), {
    joined: { ipc: first.state === "running" ? first.pid : 0 },
  });
  expect((await faultOf(fixture.runtime.create(stranger, { signal }))).message).toContain(
    "non-shareable IPC",
  );
  expect(traces(stranger.record.id)).toEqual([]);
  await fixture.runtime.delete(alone.id);
});

describe("input", () => {
  test("reaches the process, and its end does too", async () => {
    const record = await started({ Cmd: ["/bin/cat"], OpenStdin: true, StdinOnce: true });
    await using input = await fixture.runtime.input(record.id);
    await input.write(Buffer.from("x".repeat(100_000)));
    await input.end();
    expect(await ended(record)).toBe(0);
    expect((await fixture.output(record)).length).toBe(100_000);
  });

  test("of a terminal has a size that can change", async () => {
    const script = "trap 'stty size; exit 0' WINCH; stty size; while :; do sleep 0.05; done";
    const record = await started({ ...sh(script), Tty: true, OpenStdin: true }, { ConsoleSize: [11, 22] });
    await Bun.sleep(150);
    await fixture.runtime.resize(record.id, { height: 33, width: 44 });
    expect(await ended(record)).toBe(0);
    expect(await fixture.output(record)).toBe("11 22\r\n33 44\r\n");
  });
});
