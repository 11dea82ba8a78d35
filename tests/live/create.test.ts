/** What a create request asks for, seen from inside the container, in its cgroups and in the kernel's view of its process. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "#client/client.ts";
import { detectCgroups } from "#kernel/cgroups/cgroup.ts";
import { machineLimits } from "#kernel/cgroups/cgroup-controls.ts";
import { Fault } from "#spec/fault.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

const layout = detectCgroups();
const v2 = layout.kind === "v2";
const limits = machineLimits(layout);
let engine: EngineUnderTest;
let client: Client;
let cdi: string;

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.stop();
  cdi = join(engine.directory, "cdi");
  mkdirSync(cdi);
  await engine.start("--cdi-spec-dir", cdi);
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

/** `wherry run --rm` with these flags and words. */
async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return await engine.cli("wherry", ["run", "--rm", ...args]);
}

async function output(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.trim();
}

const sh = (script: string) => ["busybox", "sh", "-c", script] as const;

async function started(host: object, more: object = {}, name?: string): Promise<string> {
  const body = { Image: "busybox", Cmd: ["sleep", "1000"], ...more, HostConfig: host };
  const { Id } = await client.containers.create(body, { name });
  await client.containers.start(Id);
  return Id;
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const fault = Fault.from(await work.then(() => "not refused").catch((thrown: unknown) => thrown));
  return `${fault.detail["status"]} ${fault.message}`;
}

/** A file of the container's cgroup. */
async function limit(id: string, controller: string, file: string): Promise<string> {
  const { State } = await client.containers.inspect(id);
  const groups = readFileSync(`/proc/${State.Pid}/cgroup`, "utf8");
  const pattern = v2 ? /^0::(.*)$/m : new RegExp(`^\\d+:(?:[^:]*,)?${controller}(?:,[^:]*)?:(.*)$`, "m");
  const mount = layout.hierarchies.get(v2 ? "unified" : controller) ?? "";
  return readFileSync(join(mount, pattern.exec(groups)?.[1] ?? "", file), "utf8").trim();
}

/** A block device of this machine that rates can be limited of: not part of another. */
const disk = ["vda", "sda", "nvme0n1"].find((name) => existsSync(`/sys/block/${name}`)) ?? "loop0";
const diskNumbers = readFileSync(`/sys/block/${disk}/dev`, "utf8").trim();

describe("limits", () => {
  test("rates and weights of block devices", async () => {
    const path = `/dev/${disk}`;
    const id = await started({
      BlkioWeight: 300,
      BlkioDeviceReadBps: [{ Path: path, Rate: 1048576 }],
      BlkioDeviceWriteIOps: [{ Path: path, Rate: 50 }],
    });
    if (v2) {
      expect(await limit(id, "io", "io.max")).toBe(`${diskNumbers} rbps=1048576 wbps=max riops=max wiops=50`);
      return;
    }
    expect(await limit(id, "blkio", "blkio.throttle.read_bps_device")).toBe(`${diskNumbers} 1048576`);
    expect(await limit(id, "blkio", "blkio.throttle.write_iops_device")).toBe(`${diskNumbers} 50`);
    if (limits.blkioWeight) expect(await limit(id, "blkio", "blkio.bfq.weight")).toBe("300");
  });

  test("a device that is not there is named, and nothing is left", async () => {
    const { code, stderr } = await run("--device-read-bps", "/dev/nope:1mb", "busybox", "true");
    expect([code, stderr]).toEqual([
      125,
      expect.stringContaining("stat /dev/nope: no such file or directory"),
    ]);
  });

  test("real-time processor time, where the kernel has it for groups", async () => {
    const host = { CpuRealtimeRuntime: 9500, CapAdd: ["SYS_NICE"] };
    if (!limits.cpuRealtime) {
      const asked = client.containers.create({ Image: "busybox", HostConfig: host });
      expect(await refusal(asked)).toBe("400 kernel does not support CPU real-time scheduler");
      return;
    }
    const id = await started(host);
    expect(await limit(id, "cpu", "cpu.rt_runtime_us")).toBe("9500");
    expect(await limit(id, "cpu", "cpu.rt_period_us")).toBe("1000000");
  });

  test("processors, memory, swappiness, processes, adjustment for the killer, open files, /dev/shm", async () => {
    const id = await started({
      ...{ CpuShares: 512, CpuPeriod: 50_000, CpuQuota: 25_000, CpusetCpus: "0", PidsLimit: 20 },
      ...{ Memory: 64 << 20, MemorySwap: 96 << 20, MemoryReservation: 32 << 20, OomScoreAdj: 500 },
      ...{ ShmSize: 1 << 20, Ulimits: [{ Name: "nofile", Soft: 100, Hard: 200 }] },
    });
    const { State } = await client.containers.inspect(id);
    expect(readFileSync(`/proc/${State.Pid}/oom_score_adj`, "utf8").trim()).toBe("500");
    expect(readFileSync(`/proc/${State.Pid}/limits`, "utf8")).toMatch(/^Max open files\s+100\s+200\s/m);
    expect(readFileSync(`/proc/${State.Pid}/mountinfo`, "utf8")).toMatch(/ \/dev\/shm .*size=1024k/);
    expect(await limit(id, "pids", "pids.max")).toBe("20");
    expect(await limit(id, "cpuset", "cpuset.cpus")).toBe("0");
    if (v2) {
      expect(await limit(id, "cpu", "cpu.max")).toBe("25000 50000");
      expect(await limit(id, "memory", "memory.swap.max")).toBe(String(32 << 20));
      expect(await limit(id, "memory", "memory.low")).toBe(String(32 << 20));
      return;
    }
    expect(await limit(id, "cpu", "cpu.cfs_quota_us")).toBe("25000");
    expect(await limit(id, "cpu", "cpu.cfs_period_us")).toBe("50000");
    expect(await limit(id, "memory", "memory.soft_limit_in_bytes")).toBe(String(32 << 20));
    if (limits.swap) expect(await limit(id, "memory", "memory.memsw.limit_in_bytes")).toBe(String(96 << 20));
  });

  test("a cgroup beneath a parent of the user's, never above the first", async () => {
    const parent = `wherry-test-parent-${process.pid}`;
    const id = await started({ CgroupParent: `/../../${parent}` });
    const { State } = await client.containers.inspect(id);
    expect(readFileSync(`/proc/${State.Pid}/cgroup`, "utf8")).toContain(`:/${parent}/${id}`);
    await client.containers.remove(id, { force: true });
    for (const mount of new Set(layout.hierarchies.values())) {
      const path = join(mount, parent);
      if (existsSync(path)) await import("node:fs/promises").then(({ rmdir }) => rmdir(path));
    }
  });
});

describe("the first process", () => {
  test("--init reaps, and is the small one", async () => {
    const script = "(sleep 0.01 &) ; sleep 0.2; ps -o pid,comm,stat | grep -c Z; cat /proc/1/comm";
    expect(await output("--init", ...sh(script))).toBe("0\ndocker-init");
    expect(await output(...sh("cat /proc/1/comm"))).toBe("cat");
  });

  test("--init keeps the exit code, and passes signals on", async () => {
    expect((await run("--init", ...sh("exit 7"))).code).toBe(7);
    const trapping = ["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.01; done"];
    const id = await started({ Init: true }, { Cmd: trapping });
    const { exit } = await client.containers.wait(id, "next-exit");
    // Lost on an init that does not listen yet, and the end of a shell that has not set its trap.
    let ended = false;
    const done = exit.finally(() => {
      ended = true;
    });
    while (!ended) {
      await client.containers.kill(id, "TERM").catch(() => undefined);
      await Bun.sleep(10);
    }
    expect([9, 143]).toContain((await done).StatusCode);
  });

  test("a runtime by name is the one that runs it, and an exec in it", async () => {
    const id = await started({ Runtime: "runc" }, {}, "by-runc");
    expect(existsSync(join(engine.directory, "exec/runtime-runc", id))).toBe(true);
    const exec = await engine.cli("wherry", ["exec", "by-runc", "echo", "in"]);
    expect(exec).toMatchObject({ code: 0, stdout: "in\n" });
    expect((await client.containers.inspect(id)).HostConfig.Runtime).toBe("runc");
    await client.containers.remove(id, { force: true });
    const asked = client.containers.create({ Image: "busybox", HostConfig: { Runtime: "magic" } });
    expect(await refusal(asked)).toBe("400 unknown or invalid runtime name: magic");
  });
});

describe("devices", () => {
  const spec = () => ({
    cdiVersion: "0.6.0",
    kind: "vendor.com/class",
    containerEdits: { env: ["FROM_SPEC=1"] },
    devices: [
      {
        name: "one",
        containerEdits: {
          env: ["FROM_DEVICE=1"],
          deviceNodes: [{ path: "/dev/mine", hostPath: "/dev/net/tun", permissions: "r", uid: 33 }],
          mounts: [{ hostPath: join(cdi, "shared"), containerPath: "/shared", options: ["ro", "bind"] }],
          hooks: [
            {
              hookName: "createRuntime",
              path: "/bin/sh",
              args: ["sh", "-c", `cat >/dev/null; echo created > ${cdi}/hooked`],
            },
            { hookName: "poststart", path: "/bin/sh", args: ["sh", "-c", `echo started > ${cdi}/started`] },
            { hookName: "poststop", path: "/bin/sh", args: ["sh", "-c", `echo stopped > ${cdi}/stopped`] },
          ],
        },
      },
      { name: "two", containerEdits: { env: ["FROM_DEVICE=2"] } },
    ],
  });

  test("by CDI: nodes, rights, mounts, variables and hooks of what the specification says", async () => {
    mkdirSync(join(cdi, "shared"));
    writeFileSync(join(cdi, "shared", "file"), "shared\n");
    writeFileSync(join(cdi, "vendor.json"), JSON.stringify(spec()));
    const script =
      'echo "$FROM_SPEC$FROM_DEVICE"; cat /shared/file; ls -ln /dev/mine; (: < /dev/mine) && echo read; ' +
      "(: > /dev/mine) 2>&1; touch /shared/x 2>&1";
    const { stdout } = await run("--device", "vendor.com/class=one", ...sh(script));
    const lines = stdout.trim().split("\n");
    expect(lines.slice(0, 2)).toEqual(["11", "shared"]);
    expect(lines[2]).toMatch(/^crw\S+\s+1 33\s+0\s+10, 200 /);
    expect(lines[3]).toBe("read");
    expect(lines[4]).toContain("Operation not permitted");
    expect(lines[5]).toContain("Read-only file system");
    expect(readFileSync(join(cdi, "hooked"), "utf8")).toBe("created\n");
    expect(readFileSync(join(cdi, "started"), "utf8")).toBe("started\n");
    expect(readFileSync(join(cdi, "stopped"), "utf8")).toBe("stopped\n");
  });

  test("by CDI in YAML; what no specification has is named", async () => {
    writeFileSync(
      join(cdi, "other.yaml"),
      "cdiVersion: 0.5.0\nkind: other.org/thing\ndevices:\n- name: all\n  containerEdits:\n    env: [A=yaml]\n",
    );
    expect(await output("--device", "other.org/thing=all", ...sh("echo $A"))).toBe("yaml");
    const { stdout } = await engine.cli("wherry", ["info", "--format", "{{json .CDISpecDirs}}"]);
    expect(JSON.parse(stdout)).toEqual([cdi]);
    const { code, stderr } = await run("--device", "other.org/thing=none", "busybox", "true");
    expect([code, stderr]).toEqual([
      125,
      expect.stringContaining("CDI device injection failed: unresolvable CDI devices other.org/thing=none"),
    ]);
  });

  test("GPUs come by the vendor's specification, and are refused without one", async () => {
    const { code, stderr } = await run("--gpus", "all", "busybox", "true");
    expect([code, stderr]).toEqual([
      125,
      expect.stringContaining('could not select device driver "" with capabilities: [[gpu]]'),
    ]);
    const device = (name: string) => ({ name, containerEdits: { env: [`GPU_${name}=1`] } });
    const gpus = { cdiVersion: "0.6.0", kind: "nvidia.com/gpu", devices: ["0", "1", "all"].map(device) };
    writeFileSync(join(cdi, "nvidia.json"), JSON.stringify(gpus));
    expect(await output("--gpus", "all", ...sh("env | grep GPU_"))).toBe("GPU_all=1");
    expect(await output("--gpus", "2", ...sh("env | grep GPU_ | sort"))).toBe("GPU_0=1\nGPU_1=1");
    expect(await output("--gpus", "device=1", ...sh("env | grep GPU_"))).toBe("GPU_1=1");
  });

  test("a node, a directory of nodes, and rules for what the container makes itself", async () => {
    const script = "(: < /dev/other) && echo read; (: > /dev/other) 2>&1";
    const { stdout } = await run("--device", "/dev/net/tun:/dev/other:r", ...sh(script));
    expect(stdout).toMatch(/^read\n.*Operation not permitted/);
    expect(await output("--device", "/dev/net", ...sh("ls /dev/net"))).toBe("tun");
    const make = sh("busybox mknod /tmp/n c 10 200 && (: < /tmp/n) && echo opened");
    expect((await run(...make)).stdout).toBe("");
    expect(await output("--device-cgroup-rule", "c 10:200 r", ...make)).toBe("opened");
  });
});

describe("mounts", () => {
  test("those of another container, read-only where asked, gone with the last that has them", async () => {
    const donor = await started(
      { Binds: [`${cdi}:/bound`, "named:/named"] },
      { Volumes: { "/own": {} } },
      "donor",
    );
    await engine.cli("wherry", ["exec", "donor", "sh", "-c", "echo 1 > /own/f; echo 2 > /named/f"]);
    const script = "cat /own/f /named/f; ls /bound >/dev/null && touch /own/g";
    expect(await output("--volumes-from", "donor", ...sh(script))).toBe("1\n2");
    const readOnly = await run("--volumes-from", "donor:ro", ...sh("touch /own/h"));
    expect(readOnly.stderr).toContain("Read-only file system");
    expect(await output("--volumes-from", "donor", "-v", "other:/named", ...sh("ls /named"))).toBe("");
    const { Mounts } = await client.containers.inspect(donor);
    const own = Mounts.find(({ Destination }) => Destination === "/own")?.Name ?? "";
    const heir = await started({ VolumesFrom: ["donor"] });
    const inherited = (await client.containers.inspect(heir)).Mounts;
    expect(inherited.map(({ Destination }) => Destination).sort()).toEqual(["/bound", "/named", "/own"]);
    const data = join(engine.directory, "data/volumes", own);
    await client.containers.remove(donor, { force: true, volumes: true });
    expect(existsSync(data)).toBe(true);
    await client.containers.remove(heir, { force: true, volumes: true });
    expect(existsSync(data)).toBe(false);
  });

  test("tmpfs with its options; those that do not exist are refused", async () => {
    const seen = await output("--tmpfs", "/t:size=1m,mode=700,exec", ...sh("grep ' /t ' /proc/mounts"));
    expect(seen).toMatch(/^tmpfs \/t tmpfs rw,nosuid,nodev,.*size=1024k,mode=700/);
    const wrong = await run("--tmpfs", "/t:foo", "busybox", "true");
    expect([wrong.code, wrong.stderr]).toEqual([125, expect.stringContaining('invalid tmpfs option "foo"')]);
  });
});

describe("namespaces and the kernel", () => {
  test("no network but loopback when it is disabled", async () => {
    const body = { Image: "busybox", Cmd: ["ls", "/sys/class/net"], NetworkDisabled: true, HostConfig: {} };
    const { Id } = await client.containers.create(body);
    const { exit } = await client.containers.wait(Id, "next-exit");
    await client.containers.start(Id);
    await exit;
    const { stdout } = await engine.cli("wherry", ["logs", Id]);
    expect(stdout).toBe("lo\n");
  });

  test("sysctls of namespaces of its own, refused for the host's", async () => {
    const set = ["--sysctl", "net.core.somaxconn=77", "--sysctl", "kernel.msgmax=5000"];
    const read = "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax";
    expect(await output(...set, ...sh(read))).toBe("77\n5000");
    const network = await run("--network", "host", "--sysctl", "net.core.somaxconn=77", "busybox", "true");
    expect(network.stderr).toContain('sysctl "net.core.somaxconn" not allowed in host network namespace');
    const ipc = await run("--ipc", "host", "--sysctl", "kernel.msgmax=5000", "busybox", "true");
    expect(ipc.stderr).toContain('sysctl "kernel.msgmax" is not allowed in the hosts ipc namespace');
  });

  test("names, hosts, groups", async () => {
    const names = await output(
      "-h",
      "box",
      "--domainname",
      "example",
      ...sh("hostname; cat /proc/sys/kernel/domainname"),
    );
    expect(names).toBe("box\nexample");
    const hosts = await output(
      "--add-host",
      "up:host-gateway",
      "--add-host",
      "v6=::1",
      ...sh("cat /etc/hosts"),
    );
    expect(hosts).toMatch(/^172\.\d+\.0\.1\tup$/m);
    expect(hosts).toMatch(/^::1\tv6$/m);
    expect(await output("-u", "web", "--group-add", "www", "--group-add", "77", ...sh("id -u; id -G"))).toBe(
      "33\n44 77",
    );
    const unknown = await run("--group-add", "nobodies", "busybox", "true");
    expect(unknown.stderr).toContain("Unable to find group nobodies: no matching entries in group file");
  });

  test("cgroups that can be written, without more privilege", async () => {
    const make = "d=/sys/fs/cgroup; test -d $d/pids && d=$d/pids; mkdir $d/mine";
    const flags = ["--cgroupns", "private"];
    expect((await run(...flags, ...sh(make))).code).not.toBe(0);
    expect((await run(...flags, "--security-opt", "writable-cgroups=true", ...sh(make))).code).toBe(0);
  });
});

test("what the machine cannot do is said, and what cannot be is refused when the container is made", async () => {
  const create = async (host: object, more: object = {}) =>
    await client.containers.create({ Image: "busybox", ...more, HostConfig: host });
  const hostPorts = await create({ NetworkMode: "host", PortBindings: { "80/tcp": [{ HostPort: "80" }] } });
  expect(hostPorts.Warnings).toEqual(["Published ports are discarded when using host network mode"]);
  expect(await refusal(create({ SecurityOpt: ["foo"] }))).toBe('400 invalid --security-opt 1: "foo"');
  expect(await refusal(create({ SecurityOpt: ["seccomp={"] }))).toStartWith(
    "400 Decoding seccomp profile failed",
  );
  expect(await refusal(create({ CapAdd: ["FLY"] }))).toBe(
    '400 invalid CapAdd: unknown capability: "CAP_FLY"',
  );
  expect(await refusal(create({ PidMode: "container:nobody" }))).toBe("400 No such container: nobody");
  expect(await refusal(create({ CpusetCpus: "9999" }))).toStartWith("400 Invalid value 9999 for cpuset cpus");
  expect(await refusal(create({ Isolation: "process" }))).toBe(
    "400 Invalid isolation: \"process\" - linux only supports 'default'",
  );
  expect(await refusal(create({}, { StopSignal: "FOO" }))).toBe("400 invalid signal: FOO");
  const arm = client.containers.create({ Image: "busybox", HostConfig: {} }, { platform: "linux/arm64" });
  expect(await refusal(arm)).toContain("does not match the specified platform (linux/arm64)");
  expect((await client.containers.list({ all: true })).some(({ State }) => State === "removing")).toBe(false);
});
