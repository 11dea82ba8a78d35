/**
 * Images and requests that mean harm: what they point at on the machine is neither read nor written, and the kernel holds
 * each process to what was asked for. (runc CVE-2024-21626, CVE-2021-30465; moby CVE-2022-36109, CVE-2022-24769,
 * CVE-2021-41091; containerd CVE-2022-23648, CVE-2024-40635; podman CVE-2024-9676.)
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pack } from "tar-stream";
import type { Client } from "#client/client.ts";
import { Fault } from "#spec/fault.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
/** A directory of the machine that images point at. */
let target: string;

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
  target = join(engine.directory, "target");
  mkdirSync(join(target, "sub"), { recursive: true });
  writeFileSync(join(target, "hosts"), "the machine's\n");
  writeFileSync(join(target, "passwd"), "evil:x:7:7::/:/bin/sh\n");
  writeFileSync(join(target, "sub", "secret"), "secret\n");
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

type Entry = {
  readonly name: string;
  readonly linkname?: string;
  readonly text?: string;
  readonly type?: "fifo";
};

/** A busybox image with these files in place of its own. */
async function image(
  name: string,
  entries: readonly Entry[],
  changes: readonly string[] = [],
): Promise<string> {
  const tar = pack();
  tar.entry({ name: "bin/busybox", mode: 0o755 }, readFileSync("/bin/busybox"));
  for (const applet of ["sh", "true", "ls", "cat", "id", "sleep"])
    tar.entry({ name: `bin/${applet}`, type: "symlink", linkname: "busybox" });
  for (const { name: path, linkname, text, type } of entries)
    if (linkname !== undefined) tar.entry({ name: path, type: "symlink", linkname });
    else if (type === "fifo") tar.entry({ name: path, type: "fifo" });
    else tar.entry({ name: path }, text ?? "");
  tar.finalize();
  const o = { repo: name, tag: "latest", changes: ["CMD true", ...changes] };
  for await (const message of client.images.import(tar as AsyncIterable<Uint8Array>, o))
    if (message.error !== undefined) throw new Error(message.error);
  return name;
}

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return await engine.cli("wherry", ["run", "--rm", "--network", "none", ...args]);
}

function snapshot(): string {
  const files = readdirSync(target, { recursive: true }).map(String).sort();
  return files
    .map((name) => {
      const { mode, uid, size, mtimeMs } = lstatSync(join(target, name));
      return `${name} ${mode} ${uid} ${size} ${mtimeMs}`;
    })
    .join("\n");
}

/** Started or refused; the machine is as it was, and the engine answers. */
async function harmless(work: () => Promise<unknown>): Promise<void> {
  const before = snapshot();
  await work();
  expect(snapshot()).toBe(before);
  expect((await run("busybox", "true")).code).toBe(0);
}

describe("links in an image that point at the machine", () => {
  test.each([
    ["dev"],
    ["proc"],
    ["sys"],
    ["etc"],
    ["etc/hosts"],
    ["etc/resolv.conf"],
    ["etc/hostname"],
    ["sbin"],
  ])("/%s", async (path) => {
    const link = path.includes("/") ? join(target, "hosts") : target;
    const name = await image(`link-${path.replace(/\W/g, "-")}`, [{ name: path, linkname: link }]);
    await harmless(async () => {
      const { stdout } = await run("--init", "-v", `${target}:/mounted:ro`, name, "cat", "/etc/hosts");
      expect(stdout).not.toContain("the machine's");
    });
  });

  test("a working directory is looked for in the container's root", async () => {
    const name = await image("link-workdir", [{ name: "here", linkname: target }]);
    await harmless(async () => {
      await run("-w", "/here/new", name, "true");
      await run("-w", "/here", name, "true");
    });
  });

  test("a volume is not filled from the machine", async () => {
    const name = await image("link-volume", [{ name: "data", linkname: target }], ["VOLUME /data/sub"]);
    await harmless(async () => {
      const { stdout, stderr } = await run(name, "ls", "-A", "/data/sub");
      expect(stdout + stderr).not.toContain("secret");
    });
  });
});

describe("a user of an image's files", () => {
  test("is not one of the machine's", async () => {
    const name = await image("link-passwd", [{ name: "etc/passwd", linkname: join(target, "passwd") }]);
    await harmless(async () => {
      const { code, stderr } = await run("-u", "evil", name);
      expect([code, stderr]).toEqual([125, expect.stringContaining("unable to find user evil")]);
    });
  });

  test("in a pipe is nobody, and nobody waits for it", async () => {
    const name = await image("fifo-passwd", [{ name: "etc/passwd", type: "fifo" }]);
    expect((await run("-u", "web", name)).stderr).toContain("unable to find user web");
    // Not `id`, which waits for the pipe itself.
    expect((await run("-u", "7", name, "true")).code).toBe(0);
  });

  test("in a file without end is looked for in its first part", async () => {
    const filler = `#${"x".repeat(1022)}\n`.repeat(9 * 1024);
    const name = await image("long-passwd", [
      { name: "etc/passwd", text: `web:x:33:33::/:\n${filler}far:x:9:9::/:\n` },
    ]);
    expect((await run("-u", "web", name, "id", "-u")).stdout).toBe("33\n");
    expect((await run("-u", "far", name)).stderr).toContain("unable to find user far");
  });

  test("with an id past every bound, or a number for a name, gets no more than it asks for", async () => {
    const passwd = "evil:x:4294967296:0::/:\n1000:x:0:0::/:\n";
    const name = await image("evil-passwd", [{ name: "etc/passwd", text: passwd }]);
    expect((await run("-u", "evil", name)).stderr).toContain("uids and gids must be in range 0-2147483647");
    expect((await run("-u", "1000", name, "id", "-u")).stdout).toBe("1000\n");
    expect((await run("-u", "4294967296", name)).stderr).toContain("uids and gids must be in range");
    const set = await image("evil-user", [{ name: "etc/passwd", text: passwd }], ["USER 4294967296"]);
    expect((await run(set)).stderr).toContain("uids and gids must be in range");
  });
});

test("a working directory among the descriptors of who starts it is refused, of an exec too", async () => {
  const numbers = [3, 7, 8, 9, 12];
  for (const number of numbers) {
    const { code, stdout } = await run("-w", `/proc/self/fd/${number}`, "busybox", "pwd");
    expect([code === 0, stdout]).toEqual([false, ""]);
  }
  const body = { Image: "busybox", Cmd: ["sleep", "1000"], HostConfig: { NetworkMode: "none" } };
  const { Id } = await client.containers.create(body, { name: "held" });
  await client.containers.start(Id);
  for (const number of numbers) {
    const exec = await engine.cli("wherry", ["exec", "-w", `/proc/self/fd/${number}`, "held", "pwd"]);
    expect(exec.code).not.toBe(0);
    expect(exec.stdout).toMatch(/^$|chdir|mkdir/);
  }
  for (const args of [
    ["run", "--rm", "busybox"],
    ["exec", "held"],
  ]) {
    const { stdout } = await engine.cli("wherry", [...args, "ls", "/proc/self/fd"]);
    // The last one is the directory that ls reads.
    expect(stdout).toBe("0\n1\n2\n3\n");
  }
});

/** Until the command itself runs, in place of who starts it: the last of the confinement is put on just before. */
async function running(pid: number, command: string): Promise<void> {
  while (readFileSync(`/proc/${pid}/comm`, "utf8").trim() !== command) await Bun.sleep(2);
}

/** A line of /proc/PID/status, as the machine sees it. */
function status(pid: number, field: string): string {
  return (
    new RegExp(`^${field}:\\s+(\\S.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? ""
  );
}

const confinements = [
  ["as nothing is said", {}, "", "00000000a80425fb", "0", "2"],
  ["of another user", {}, "33:44", "0000000000000000", "0", "2"],
  ["with less", { CapDrop: ["ALL"], CapAdd: ["CHOWN"] }, "", "0000000000000001", "0", "2"],
  ["that gains nothing", { SecurityOpt: ["no-new-privileges"] }, "", "00000000a80425fb", "1", "2"],
  ["without a filter", { SecurityOpt: ["seccomp=unconfined"] }, "", "00000000a80425fb", "0", "0"],
] as const;

for (const runtime of ["crun", "runc"])
  for (const [what, host, user, effective, noNewPrivileges, seccomp] of confinements)
    test(`${runtime} holds a process ${what} to it`, async () => {
      const { Id } = await client.containers.create({
        Image: "busybox",
        Cmd: ["sleep", "1000"],
        User: user,
        HostConfig: {
          ...host,
          SecurityOpt: [...("SecurityOpt" in host ? host.SecurityOpt : [])],
          Runtime: runtime,
          NetworkMode: "none",
        },
      } as Parameters<Client["containers"]["create"]>[0]);
      await client.containers.start(Id);
      const { Pid } = (await client.containers.inspect(Id)).State;
      await running(Pid, "sleep");
      expect({
        effective: status(Pid, "CapEff"),
        inheritable: status(Pid, "CapInh"),
        ambient: status(Pid, "CapAmb"),
        noNewPrivileges: status(Pid, "NoNewPrivs"),
        seccomp: status(Pid, "Seccomp"),
      }).toEqual({
        ...{ effective, noNewPrivileges, seccomp },
        ...{ inheritable: "0000000000000000", ambient: "0000000000000000" },
      });
      // The group is among the additional ones: giving it up gains nothing.
      expect(status(Pid, "Groups").split(" ")).toContain(user === "" ? "0" : "44");
      const exec = await client.containers.createExec(Id, { Cmd: ["sleep", "1000"] });
      await client.containers.startExecDetached(exec);
      const inside = (await client.containers.inspectExec(exec)).Pid;
      await running(inside, "sleep");
      expect([status(inside, "CapEff"), status(inside, "CapInh"), status(inside, "Seccomp")]).toEqual([
        effective,
        "0000000000000000",
        seccomp,
      ]);
      await client.containers.remove(Id, { force: true });
    });

test("nobody else reads what containers keep", async () => {
  const data = join(engine.directory, "data");
  expect((statSync(data).mode & 0o777).toString(8)).toBe("710");
  const { Id } = await client.containers.create({ Image: "busybox", HostConfig: {} });
  for (const path of [data, join(data, "containers", Id), join(data, "layers", "writable", Id)]) {
    const as = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "ls", path];
    const { exitCode, stderr } = Bun.spawnSync(as);
    expect([exitCode === 0, stderr.toString()]).toEqual([
      false,
      expect.stringContaining("Permission denied"),
    ]);
  }
});

test("an image's labels set no key that programs around the engine act on", async () => {
  const labels = ["LABEL com.docker.swarm.task.id=x wherry.policy=y fine=z com.docker.compose.project=p"];
  const name = await image("labels", [], labels);
  const { Id } = await client.containers.create({
    Image: name,
    Labels: { "wherry.mine": "1" },
    HostConfig: {},
  });
  const { Config } = await client.containers.inspect(Id);
  expect(Config.Labels).toEqual({ fine: "z", "com.docker.compose.project": "p", "wherry.mine": "1" });
});

test("containers on the host's network find no socket of the engine's to speak to", async () => {
  const { Id } = await client.containers.create({
    Image: "busybox",
    Cmd: ["sleep", "1000"],
    HostConfig: { NetworkMode: "host" },
  });
  await client.containers.start(Id);
  const { Pid } = (await client.containers.inspect(Id)).State;
  const named = readFileSync(`/proc/${Pid}/net/unix`, "utf8")
    .split("\n")
    .filter((line) => line.includes("@"));
  expect(named).toEqual([]);
});

test("a request without measure is refused with the measure", async () => {
  const said = async (body: object, host: object = {}): Promise<string> => {
    const asked = client.containers.create({ Image: "busybox", ...body, HostConfig: host });
    const fault = Fault.from(await asked.catch((thrown: unknown) => thrown));
    return `${fault.detail["status"]} ${fault.message}`;
  };
  expect(await said({ Env: Array.from({ length: 4097 }, (_, n) => `A${n}=`) })).toBe(
    "400 Env has 4097 entries; at most 4096 are allowed",
  );
  expect(await said({ Hostname: "h".repeat(65) })).toContain("is too long (maximum 64 bytes)");
  expect(await said({}, { Binds: Array.from({ length: 513 }, (_, n) => `/tmp:/m${n}`) })).toBe(
    "400 mounts has 513 entries; at most 512 are allowed",
  );
});
