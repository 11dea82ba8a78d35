/** What containers find on a machine with cgroup v2 alone. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import type { Guest } from "./guest.ts";
import { untilReads } from "./until.ts";

export type Check = (guest: Guest) => Promise<void>;

const mebi = 1 << 20;
/** The second disk: nothing but its limits is of interest. */
const disk = "/dev/vdb";

export const unifiedChecks: Readonly<Record<string, Check>> = {
  "info tells of version 2": async ({ client }) => {
    const info = await client.info();
    assert.equal(info.CgroupVersion, "2");
    assert.ok(info.SecurityOptions?.includes("name=cgroupns"));
    assert.deepEqual(
      [info.MemoryLimit, info.SwapLimit, info.CpuCfsQuota, info.CPUSet, info.PidsLimit],
      Array(5).fill(true),
    );
    assert.equal(info.OomKillDisable, false);
  },
  "limits stand in the group's files": async (guest) => {
    await using ran = await guest.run({
      ...{ Memory: 64 * mebi, MemorySwap: 96 * mebi, MemoryReservation: 32 * mebi },
      ...{ NanoCpus: 5e8, CpuShares: 512, CpusetCpus: "1", PidsLimit: 77 },
    });
    assert.deepEqual(ran.warnings, []);
    const files = [
      "memory.max",
      "memory.swap.max",
      "memory.low",
      "cpu.max",
      "cpu.weight",
      "cpuset.cpus",
      "pids.max",
    ];
    const found = Object.fromEntries(
      await Promise.all(files.map(async (file) => [file, await ran.group(file)])),
    );
    assert.deepEqual(found, {
      "memory.max": `${64 * mebi}`,
      "memory.swap.max": `${32 * mebi}`,
      "memory.low": `${32 * mebi}`,
      "cpu.max": "50000 100000",
      "cpu.weight": "20",
      "cpuset.cpus": "1",
      "pids.max": "77",
    });
    assert.equal((await ran.inspect()).HostConfig.CgroupnsMode, "private");
    assert.equal((await ran.exec("cat", "/proc/self/cgroup")).output, "0::/");
    assert.equal((await ran.exec("cat", "/sys/fs/cgroup/pids.max")).output, "77");
    assert.notEqual((await ran.exec("sh", "-c", "echo 99 > /sys/fs/cgroup/pids.max")).code, 0);
  },
  "cgroupns host shows the whole path": async (guest) => {
    await using ran = await guest.run({ CgroupnsMode: "host" });
    assert.match((await ran.exec("cat", "/proc/self/cgroup")).output, new RegExp(`^0::/.*${ran.id}`));
  },
  "throttles of a device": async (guest) => {
    const { rdev } = statSync(disk);
    const number = `${rdev >> 8}:${rdev & 0xff}`;
    await using ran = await guest.run({
      BlkioDeviceReadBps: [{ Path: disk, Rate: mebi }],
      BlkioDeviceWriteBps: [{ Path: disk, Rate: 2 * mebi }],
      BlkioDeviceReadIOps: [{ Path: disk, Rate: 100 }],
      BlkioDeviceWriteIOps: [{ Path: disk, Rate: 200 }],
    });
    assert.equal(await ran.group("io.max"), `${number} rbps=${mebi} wbps=${2 * mebi} riops=100 wiops=200`);
  },
  "a device whose scheduler knows no weights": async (guest) => {
    await using ran = await guest.run({ BlkioWeight: 300 });
    assert.deepEqual(ran.warnings, []);
    const weights = await ran.group("io.bfq.weight").catch(async () => await ran.group("io.weight"));
    assert.match(weights, /^default (?:300|2930)$/m);
    const refused = guest.run({ BlkioWeightDevice: [{ Path: disk, Weight: 500 }] });
    await assert.rejects(refused, /scheduler knows no weights: choose bfq/);
  },
  "BFQ weights of its own scheduler": async (guest) => {
    await Bun.write("/sys/block/vdb/queue/scheduler", "bfq");
    const { rdev } = statSync(disk);
    await using ran = await guest.run({ BlkioWeight: 300, BlkioWeightDevice: [{ Path: disk, Weight: 500 }] });
    const weights = await ran.group("io.bfq.weight");
    assert.match(weights, /^default 300$/m);
    assert.match(weights, new RegExp(`^${rdev >> 8}:${rdev & 0xff} 500$`, "m"));
  },
  "an update while it runs": async (guest) => {
    await using ran = await guest.run({ Memory: 64 * mebi });
    const { containers } = guest.client;
    await containers.update(ran.id, {
      Memory: 128 * mebi,
      MemorySwap: 160 * mebi,
      CpuShares: 2048,
      PidsLimit: 50,
    });
    await containers.update(ran.id, {
      CpuQuota: 20_000,
      CpuPeriod: 50_000,
      CpusetCpus: "0",
      BlkioWeight: 200,
    });
    assert.equal(await ran.group("memory.max"), `${128 * mebi}`);
    assert.equal(await ran.group("memory.swap.max"), `${32 * mebi}`);
    assert.equal(await ran.group("cpu.weight"), "79");
    assert.equal(await ran.group("cpu.max"), "20000 50000");
    assert.equal(await ran.group("pids.max"), "50");
    assert.equal(await ran.group("cpuset.cpus"), "0");
    await containers.update(ran.id, { Memory: 32 * mebi, MemorySwap: -1, PidsLimit: -1 });
    assert.equal(await ran.group("memory.max"), `${32 * mebi}`);
    assert.equal(await ran.group("memory.swap.max"), "max");
    assert.equal(await ran.group("pids.max"), "max");
    const { HostConfig } = await ran.inspect();
    assert.equal(HostConfig.Memory, 32 * mebi);
  },
  "a container without memory is killed and says so": async (guest) => {
    const eat = "x=$(head -c 60000000 /dev/zero | tr '\\0' a); echo alive";
    await using ran = await guest.run({ Memory: 16 * mebi, MemorySwap: 16 * mebi }, [
      "sh",
      "-c",
      `${eat} || true`,
    ]);
    const { code } = await ran.ended();
    assert.notEqual(code, 0);
    assert.equal((await ran.inspect()).State.OOMKilled, true);
  },
  "pause and unpause": async (guest) => {
    await using ran = await guest.run({});
    const { containers } = guest.client;
    await containers.pause(ran.id);
    assert.equal((await ran.inspect()).State.Status, "paused");
    assert.equal(await ran.group("cgroup.freeze"), "1");
    await untilReads("frozen", async () => (await ran.group("cgroup.events")).includes("frozen 1"));
    await containers.unpause(ran.id);
    assert.equal((await ran.inspect()).State.Status, "running");
    await containers.pause(ran.id);
    await containers.kill(ran.id, "KILL");
    assert.equal((await ran.ended()).code, 137);
  },
  "stats with all of version 2": async (guest) => {
    await using ran = await guest.run({ Memory: 64 * mebi, PidsLimit: 20, CpuQuota: 50_000 }, [
      "sh",
      "-c",
      "dd if=/dev/zero of=/x bs=1M count=4 conv=fsync 2>/dev/null; while :; do :; done",
    ]);
    await untilReads("io.stat", async () => /wbytes=[1-9]/.test(await ran.group("io.stat")));
    const stats = await guest.client.containers.statsOnce(ran.id);
    assert.equal(stats.memory_stats.limit, 64 * mebi);
    assert.ok((stats.memory_stats.usage ?? 0) > 0);
    const named = Object.keys(stats.memory_stats.stats ?? {});
    for (const each of ["anon", "file", "inactive_file", "pgfault", "slab", "workingset_activate"])
      assert.ok(named.includes(each), each);
    assert.equal(stats.memory_stats.max_usage, undefined);
    assert.equal(stats.pids_stats.limit, 20);
    assert.ok((stats.pids_stats.current ?? 0) >= 1);
    assert.ok(stats.cpu_stats.cpu_usage.total_usage > stats.precpu_stats.cpu_usage.total_usage);
    assert.ok(stats.cpu_stats.throttling_data.periods > 0);
    assert.equal(stats.cpu_stats.online_cpus, 2);
    assert.ok((stats.cpu_stats.system_cpu_usage ?? 0) > (stats.precpu_stats.system_cpu_usage ?? 0));
    const written = stats.blkio_stats.io_service_bytes_recursive?.filter(({ op }) => op === "write");
    assert.ok(written?.some(({ value }) => value >= 4 * mebi));
  },
  "top and exec": async (guest) => {
    await using ran = await guest.run({ PidsLimit: 20 });
    const top = await guest.client.containers.top(ran.id);
    assert.deepEqual(
      top.Processes?.map((each) => each.at(-1)),
      ["sleep 1000"],
    );
    const inside = await ran.exec("cat", "/proc/self/cgroup", "/sys/fs/cgroup/pids.max");
    assert.deepEqual(inside.output.split(/\r?\n/), ["0::/", "20"]);
  },
  "devices are kept away": async (guest) => {
    const read = ["sh", "-c", "dd if=/dev/vdb of=/dev/null bs=512 count=1 2>&1"];
    await using kept = await guest.run({ CapAdd: ["MKNOD"] }, ["sh", "-c", "mknod /v b 254 16; sleep 1000"]);
    assert.notEqual((await kept.exec(...read)).code, 0);
    await using given = await guest.run({
      Devices: [{ PathOnHost: disk, PathInContainer: "/dev/vdb", CgroupPermissions: "r" }],
    });
    assert.equal((await given.exec(...read)).code, 0);
    assert.notEqual(
      (await given.exec("sh", "-c", "dd if=/dev/zero of=/dev/vdb bs=512 count=1 2>&1")).code,
      0,
    );
    await using all = await guest.run({ Privileged: true });
    assert.equal((await all.exec(...read)).code, 0);
  },
  "a parent of its own": async (guest) => {
    await using ran = await guest.run({ CgroupParent: "/team/a", Memory: 32 * mebi });
    const { Pid } = (await ran.inspect()).State;
    assert.match(readFileSync(`/proc/${Pid}/cgroup`, "latin1"), /^0::\/team\/a\//);
    assert.equal(await ran.group("memory.max"), `${32 * mebi}`);
  },
  "containers outlive the engine": async (guest) => {
    await using ran = await guest.run({ Memory: 64 * mebi });
    await using paused = await guest.run({});
    await guest.client.containers.pause(paused.id);
    const before = (await ran.inspect()).State.Pid;
    await guest.stop("SIGKILL");
    await guest.start();
    assert.equal((await ran.inspect()).State.Pid, before);
    assert.equal((await paused.inspect()).State.Status, "paused");
    await guest.client.containers.update(ran.id, { Memory: 80 * mebi, MemorySwap: 160 * mebi });
    assert.equal(await ran.group("memory.max"), `${80 * mebi}`);
    assert.equal((await ran.exec("true")).code, 0);
  },
  "a published port and a network of its own": async (guest) => {
    await using ran = await guest.run({ NetworkMode: "bridge" }, ["sleep", "1000"]);
    const stats = await guest.client.containers.statsOnce(ran.id, { oneShot: true });
    assert.deepEqual(Object.keys(stats.networks ?? {}), ["eth0"]);
  },
};
