/** Limits of containers changed while they run, and while they do not: seen in the cgroups, in inspect, after a restart. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "#client/client.ts";
import { detectCgroups } from "#kernel/cgroups/cgroup.ts";
import { Fault } from "#spec/fault.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";

const layout = detectCgroups();
const v2 = layout.kind === "v2";
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

async function running(host: object, name: string): Promise<string> {
  const { Id } = await client.containers.create(
    { Image: "busybox", Cmd: ["sleep", "1000"], HostConfig: host },
    { name },
  );
  await client.containers.start(Id);
  return Id;
}

/** A line of the container's group, by the files' names in both versions. */
async function limit(id: string, controller: string, v1File: string, v2File: string): Promise<string> {
  const { State } = await client.containers.inspect(id);
  const groups = readFileSync(`/proc/${State.Pid}/cgroup`, "utf8");
  const pattern = v2 ? /^0::(.*)$/m : new RegExp(`^\\d+:(?:[^:]*,)?${controller}(?:,[^:]*)?:(.*)$`, "m");
  const group = pattern.exec(groups)?.[1] ?? "";
  const mount = layout.hierarchies.get(v2 ? "unified" : controller) ?? "";
  return readFileSync(join(mount, group, v2 ? v2File : v1File), "utf8").trim();
}

async function refusal(work: Promise<unknown>): Promise<Fault> {
  const thrown = await work.then(() => undefined).catch((error: unknown) => error);
  return Fault.from(thrown);
}

const mib = 1024 * 1024;

test("memory grows and shrinks, processors and processes are limited, while it runs", async () => {
  const id = await running({ Memory: 32 * mib, MemorySwap: 64 * mib }, "grown");
  const memory = () => limit(id, "memory", "memory.limit_in_bytes", "memory.max");
  // Above the swap limit that is set: only both together, and in the right order.
  await client.containers.update(id, { Memory: 128 * mib, MemorySwap: 256 * mib });
  expect(await memory()).toBe(String(128 * mib));
  await client.containers.update(id, { Memory: 16 * mib, MemorySwap: 16 * mib });
  expect(await memory()).toBe(String(16 * mib));
  await client.containers.update(id, { NanoCpus: 1.5e9, CpuShares: 512, PidsLimit: 9 });
  expect(await limit(id, "cpu", "cpu.cfs_quota_us", "cpu.max")).toStartWith("150000");
  expect(await limit(id, "cpu", "cpu.shares", "cpu.weight")).toBe(v2 ? "20" : "512");
  expect(await limit(id, "pids", "pids.max", "pids.max")).toBe("9");
  await client.containers.update(id, { PidsLimit: -1, CpusetCpus: "0" });
  expect(await limit(id, "pids", "pids.max", "pids.max")).toBe("max");
  expect(await limit(id, "cpuset", "cpuset.cpus", "cpuset.cpus")).toBe("0");
  const { HostConfig } = await client.containers.inspect(id);
  expect(HostConfig).toMatchObject({ Memory: 16 * mib, NanoCpus: 1.5e9, CpuShares: 512, PidsLimit: 0 });

  await client.containers.restart(id, { seconds: 0 });
  expect(await memory()).toBe(String(16 * mib));
  expect(await limit(id, "cpu", "cpu.cfs_quota_us", "cpu.max")).toStartWith("150000");
  expect(await limit(id, "cpuset", "cpuset.cpus", "cpuset.cpus")).toBe("0");
});

test("one that does not run has the new limits when it starts", async () => {
  const { Id } = await client.containers.create(
    { Image: "busybox", Cmd: ["sleep", "1000"], HostConfig: { Memory: 32 * mib } },
    { name: "later" },
  );
  await client.containers.update(Id, {
    Memory: 48 * mib,
    RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 },
  });
  await client.containers.start(Id);
  expect(await limit(Id, "memory", "memory.limit_in_bytes", "memory.max")).toBe(String(48 * mib));
  const { HostConfig } = await client.containers.inspect(Id);
  expect(HostConfig.RestartPolicy).toEqual({ Name: "on-failure", MaximumRetryCount: 2 });
});

test("a policy that changes while it runs is the one its end meets", async () => {
  const id = await running({}, "policy");
  await client.containers.update(id, { RestartPolicy: { Name: "always" } });
  const { exit } = await client.containers.wait(id, "next-exit");
  const { State } = await client.containers.inspect(id);
  process.kill(State.Pid, "SIGKILL");
  await exit;
  for (let running = false; !running; ) {
    const { State: now, RestartCount } = await client.containers.inspect(id);
    running = now.Status === "running" && RestartCount === 1;
    await Bun.sleep(5);
  }
  await client.containers.update(id, { RestartPolicy: { Name: "no" } });
  await client.containers.kill(id, "KILL");
  expect((await client.containers.inspect(id)).State.Restarting).toBe(false);
});

test("what cannot be is refused in dockerd's words, and nothing changed", async () => {
  const id = await running({ Memory: 32 * mib, NanoCpus: 1e9, AutoRemove: true }, "refused");
  const said = async (change: object): Promise<string> => {
    const fault = await refusal(client.containers.update(id, change));
    return `${fault.detail["status"]} ${fault.message.replace(id, "ID")}`;
  };
  expect(await said({ Memory: 1024 })).toBe("400 Minimum memory limit allowed is 6MB");
  expect(await said({ Memory: 100 * mib })).toBe(
    "409 Cannot update container ID: Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
  );
  expect(await said({ CpuQuota: 5000 })).toBe(
    "409 Cannot update container ID: Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
  );
  expect(await said({ RestartPolicy: { Name: "always" } })).toBe(
    "409 Cannot update container ID: Restart policy cannot be updated because AutoRemove is enabled for the container",
  );
  expect(await said({ CpusetCpus: "999" })).toStartWith("400 Requested CPUs are not available");
  expect(await said({ Ulimits: [{ Name: "nofile", Soft: 1, Hard: 1 }] })).toStartWith(
    "501 Ulimits cannot be updated",
  );
  expect((await refusal(client.containers.update("nobody", { Memory: 32 * mib }))).detail["status"]).toBe(
    404,
  );
  const { HostConfig } = await client.containers.inspect(id);
  expect(HostConfig).toMatchObject({ Memory: 32 * mib, NanoCpus: 1e9, CpuQuota: 0, CpusetCpus: "" });
});

test("a limit the kernel refuses leaves limits and record as they were", async () => {
  const host = { Memory: 64 * mib, MemorySwap: 64 * mib };
  const { Id } = await client.containers.create(
    {
      Image: "busybox",
      Cmd: ["sh", "-c", "head -c 40000000 /dev/zero | tail; sleep 1000"],
      HostConfig: host,
    },
    { name: "full" },
  );
  await client.containers.start(Id);
  const used = async () => Number(await limit(Id, "memory", "memory.usage_in_bytes", "memory.current"));
  while ((await used()) < 30 * mib) await Bun.sleep(5);
  // Version 2 takes any limit and ends processes instead.
  if (v2) return;
  const fault = await refusal(client.containers.update(Id, { Memory: 7 * mib, MemorySwap: 7 * mib }));
  expect(fault.message).toContain(`Cannot update container ${Id}: the kernel refuses the limit`);
  expect(await limit(Id, "memory", "memory.limit_in_bytes", "memory.max")).toBe(String(64 * mib));
  expect((await client.containers.inspect(Id)).HostConfig.Memory).toBe(64 * mib);
  await client.containers.kill(Id, "KILL");
});

for (const program of ["wherry", ...(dockerCli === null ? [] : [dockerCli])])
  test(`${program === "wherry" ? "wherry" : "docker"} update`, async () => {
    const name = `cli-${program === "wherry" ? "own" : "docker"}`;
    const id = await running({}, name);
    const updated = await engine.cli(program, [
      "update",
      "-m",
      "32m",
      "--memory-swap=-1",
      "--cpus",
      ".5",
      name,
    ]);
    expect(updated).toEqual({ code: 0, stdout: `${name}\n`, stderr: "" });
    expect(await limit(id, "memory", "memory.limit_in_bytes", "memory.max")).toBe(String(32 * mib));
    const nothing = await engine.cli(program, ["update", name]);
    expect([nothing.code, nothing.stderr]).toEqual([
      1,
      "you must provide one or more flags when using this command\n",
    ]);
    const wrong = await engine.cli(program, ["update", "-m", "1k", name, "nobody"]);
    expect([wrong.code, wrong.stdout]).toEqual([1, ""]);
    expect(wrong.stderr).toContain("Error response from daemon: Minimum memory limit allowed is 6MB");
  });

test("each change is an event", async () => {
  const since = String(Math.floor(Date.now() / 1000) - 100);
  const { stdout } = await engine.cli("wherry", [
    ...["events", "--since", since, "--until", String(Math.ceil(Date.now() / 1000))],
    ...["--filter", "container=grown", "--filter", "event=update", "--format", "{{.Action}}"],
  ]);
  expect(stdout).toBe("update\n".repeat(4));
});
