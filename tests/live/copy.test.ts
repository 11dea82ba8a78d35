/**
 * Files in and out of containers: what `docker cp`, `diff` and `export` do and say, and what hostile containers and
 * archives try (lessons of CVE-2018-15664, 2019-14271, 2021-32760, 2024-9676, 2026-17106, 2026-41567, 2026-41568).
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { extract, pack } from "tar-stream";
import type { Client } from "#client/client.ts";
import type { CreateBody } from "#client/containers.ts";
import { mountsBeneath } from "#kernel/mount.ts";
import { Fault } from "#spec/fault.ts";
import { type CliResult, dockerCli, EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
let local: string;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  client = await engine.client();
  await engine.importBusybox();
  local = join(engine.directory, "local");
  mkdirSync(local);
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => await engine.removeContainers());

type Host = CreateBody["HostConfig"];

async function create(host: Host = {}, more: Partial<CreateBody> = {}): Promise<string> {
  const body = { Image: "busybox", Cmd: ["sleep", "600"], ...more, HostConfig: host };
  return (await client.containers.create(body, { name: `c${Math.random().toString(36).slice(2, 10)}` })).Id;
}

async function start(host: Host = {}, more: Partial<CreateBody> = {}): Promise<string> {
  const id = await create(host, more);
  await client.containers.start(id);
  return id;
}

async function run(id: string, script: string): Promise<string> {
  const { stdout, stderr, code } = await engine.cli("wherry", ["exec", id, "busybox", "sh", "-ec", script]);
  expect(`${stderr}${code}`).toBe("0");
  return stdout;
}

interface Entry {
  readonly name: string;
  readonly content?: string | Buffer;
  readonly type?: "file" | "directory" | "symlink" | "link" | "fifo";
  readonly linkname?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

async function tarOf(...entries: Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content, ...header } of entries)
    if (content === undefined) tar.entry(header);
    else tar.entry(header, content);
  tar.finalize();
  return await whole(tar as AsyncIterable<Uint8Array>);
}

async function whole(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

async function* once_(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function put(
  id: string,
  path: string,
  tar: Uint8Array,
  o: { asUser?: boolean; keepKinds?: boolean } = {},
) {
  await client.archives.write(id, path, once_(tar), o);
}

/** Names and contents, as they come. */
async function get(id: string, path: string): Promise<Record<string, string>> {
  const { tar } = await client.archives.read(id, path);
  const files: Record<string, string> = {};
  // Whole first: what breaks off must fail here and not leave the parser waiting.
  const parser = Readable.from([await whole(tar)]).pipe(extract());
  for await (const entry of parser)
    files[entry.header.name] = (await whole(entry as AsyncIterable<Uint8Array>)).toString();
  return files;
}

async function fault(work: Promise<unknown>): Promise<string> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(Fault);
  return `${(thrown as Fault).detail["status"]} ${(thrown as Fault).message}`;
}

function statusOf(thrown: unknown): unknown {
  return thrown instanceof Fault ? thrown.detail["status"] : thrown;
}

const descriptors = () => readdirSync(`/proc/${enginePid()}/fd`).length;
const mounts = () => mountsBeneath(join(engine.directory, "data")).length;

/** Of the engine itself, behind nsenter, which becomes it. */
function enginePid(): number {
  return engine.pid;
}

async function until(holds: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 400 && !holds(); attempt++) await Bun.sleep(10);
  expect(holds()).toBe(true);
}

describe("what a container's files are", () => {
  const places = (): Host => {
    const bound = join(local, "bound");
    rmSync(bound, { recursive: true, force: true });
    mkdirSync(bound);
    writeFileSync(join(bound, "there"), "bound");
    return {
      Binds: [`${bound}:/bound`, `${bound}:/sealed:ro`, "/volume"],
      Tmpfs: { "/memory": "" },
    };
  };

  test("volumes, binds, tmpfs and shared memory, while it runs", async () => {
    const id = await start(places());
    for (const place of ["/volume", "/bound", "/memory", "/dev/shm", "/tmp"]) {
      await put(id, place, await tarOf({ name: "copied", content: place }));
      expect(await run(id, `cat ${place}/copied`)).toBe(place);
      await run(id, `echo back > ${place}/own`);
      expect(await get(id, `${place}/own`)).toEqual({ own: "back\n" });
    }
    expect(readFileSync(join(local, "bound", "copied"), "utf8")).toBe("/bound");
    expect((await get(id, "/etc/hosts"))["hosts"]).toContain("localhost");
    for (const pseudo of ["/proc/cpuinfo", "/sys/kernel", "/dev/null"])
      expect(await fault(get(id, pseudo))).toBe(`404 Could not find the file ${pseudo} in container ${id}`);
  });

  test("volumes and binds of one that never ran, and nothing is mounted for it", async () => {
    const id = await create(places());
    const before = [mounts(), descriptors()];
    await put(id, "/volume", await tarOf({ name: "early", content: "early" }));
    expect(await get(id, "/bound")).toEqual({ "bound/": "", "bound/there": "bound" });
    expect(await get(id, "/bin/busybox").then((files) => Object.keys(files))).toEqual(["busybox"]);
    expect([mounts(), descriptors()]).toEqual(before);
    await client.containers.start(id);
    expect(await run(id, "cat /volume/early")).toBe("early");
  });

  test("an export has none of them, in an order that does not change", async () => {
    const id = await start(places());
    await run(id, "echo x > /volume/x; echo y > /memory/y; mkdir /made; echo z > /made/z");
    const names = async () => {
      const listed = spawn("tar", ["tf", "-"], { stdio: ["pipe", "pipe", "inherit"] });
      for await (const part of await client.archives.export(id)) listed.stdin.write(part);
      listed.stdin.end();
      return (await whole(listed.stdout)).toString().split("\n").filter(Boolean);
    };
    const running = await names();
    expect(running).toContain("made/z");
    expect(running).toContain("volume/");
    expect(running).not.toContain("volume/x");
    expect(running).not.toContain("memory/y");
    const ordered = running.filter((name) => !name.endsWith("/"));
    expect(ordered).toEqual([...ordered].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    await client.containers.kill(id, "KILL");
    expect(await names()).toEqual(running);
  });

  test("changes, as docker diff lists them", async () => {
    const id = await start();
    expect(await client.archives.changes(id)).toEqual([]);
    await run(
      id,
      "echo x > /etc/new; rm /etc/group; mkdir -p /a/b; rm -r /www; mkdir /www; chmod 700 /root; mv /bin/tty /bin/moved",
    );
    const { stdout } = await engine.cli("wherry", ["diff", id]);
    expect(stdout.trim().split("\n")).toEqual([
      "A /a",
      "A /a/b",
      "C /bin",
      "A /bin/moved",
      "D /bin/tty",
      "C /etc",
      "D /etc/group",
      "A /etc/new",
      "C /root",
      "C /www",
    ]);
  });
});

describe("what is refused", () => {
  test("read-only roots and mounts, in Docker's words, also from the side", async () => {
    const bound = join(local, "sealed");
    mkdirSync(bound);
    const id = await start({
      ReadonlyRootfs: true,
      Binds: [`${bound}:/sealed:ro`, "/volume"],
      Tmpfs: { "/memory": "" },
    });
    const tar = await tarOf({ name: "x", content: "x" });
    expect(await fault(put(id, "/tmp", tar))).toBe("403 container rootfs is marked read-only");
    expect(await fault(put(id, "/sealed", tar))).toBe("403 mounted volume is marked read-only");
    await put(id, "/volume", tar);
    await put(id, "/memory", tar);
    await run(id, "busybox ln -s /sealed /volume/side; busybox ln -s /etc /volume/root");
    for (const way of ["side/x", "root/x"])
      expect(await fault(put(id, "/volume", await tarOf({ name: way, content: "x" })))).toContain(
        "read-only",
      );
    expect(readdirSync(bound)).toEqual([]);
    const open = await start({ Binds: [`${bound}:/sealed:ro`] });
    expect(await fault(put(open, "/", await tarOf({ name: "sealed/x", content: "x" })))).toContain(
      "read-only file system",
    );
    expect(readdirSync(bound)).toEqual([]);
  });

  test("mount points are not replaced, and what is in them stays", async () => {
    const id = await start({ Binds: ["/data/volume"] });
    await run(id, "echo kept > /data/volume/file");
    const busy = "device or resource busy";
    expect(await fault(put(id, "/etc", await tarOf({ name: "hosts", content: "x" })))).toBe(
      `409 unlinkat /etc/hosts: ${busy}`,
    );
    expect(await fault(put(id, "/data", await tarOf({ name: "volume", content: "x" })))).toContain(busy);
    expect(await fault(put(id, "/", await tarOf({ name: "data", content: "x" })))).toContain(busy);
    expect(await run(id, "cat /data/volume/file")).toBe("kept\n");
  });

  test("kinds are kept when asked for, replaced otherwise", async () => {
    const id = await start();
    await run(id, "mkdir -p /d/dir; echo f > /d/file");
    const [file, directory] = [
      await tarOf({ name: "dir", content: "x" }),
      await tarOf({ name: "file/", type: "directory" }),
    ];
    expect(await fault(put(id, "/d", file, { keepKinds: true }))).toBe(
      '400 cannot overwrite directory "/d/dir" with non-directory "/d"',
    );
    expect(await fault(put(id, "/d", directory, { keepKinds: true }))).toBe(
      '400 cannot overwrite non-directory "/d/file" with directory "/d"',
    );
    await put(id, "/d", file);
    await put(id, "/d", directory);
    expect(await run(id, "cat /d/dir; busybox test -d /d/file && echo directory")).toBe("xdirectory\n");
  });

  test("paths that are not there, or are no directories", async () => {
    const id = await start();
    const tar = await tarOf({ name: "x", content: "x" });
    expect(await fault(put(id, "/none", tar))).toBe(`404 Could not find the file /none in container ${id}`);
    expect(await fault(put(id, "/bin/sh", tar))).toBe("400 extraction point is not a directory");
    expect(await fault(get(id, "/bin/sh/"))).toBe("400 lstat /bin/sh/: not a directory");
    expect(await fault(get("none", "/"))).toBe("404 No such container: none");
    expect(await fault(put(id, "/tmp", Buffer.from("no archive at all")))).toStartWith("400 the archive is");
    expect(await fault(put(id, "/tmp", tar.subarray(0, 600)))).toStartWith("400 the archive is cut off");
  });

  test("owners are the archive's, or with copyUIDGID the container's user's", async () => {
    const id = await start({}, { User: "web" });
    const tar = await tarOf(
      { name: "d/", type: "directory", uid: 7, gid: 8 },
      { name: "d/f", content: "", uid: 7, gid: 8 },
    );
    await put(id, "/tmp", tar);
    expect(await run(id, "busybox stat -c %u:%g /tmp/d /tmp/d/f")).toBe("7:8\n7:8\n");
    await put(id, "/tmp", tar, { asUser: true });
    expect(await run(id, "busybox stat -c %u:%g /tmp/d /tmp/d/f")).toBe("33:44\n33:44\n");
  });
});

const programs = [
  ["wherry", false],
  // Debian has no docker CLI of this age; where none is installed, wherry's own goes the same way.
  ["docker", dockerCli === null],
] as const;

for (const [program, absent] of programs)
  describe.skipIf(absent)(`${program} cp`, () => {
    const cp = async (...args: string[]): Promise<CliResult> => await engine.cli(program, ["cp", ...args]);
    const ok = async (...args: string[]): Promise<void> =>
      expect(await cp(...args)).toEqual({ code: 0, stdout: "", stderr: "" });
    const here = (name: string) => join(local, program, name);

    test("goes by what exists, by slashes and dots, both ways", async () => {
      const id = await start();
      mkdirSync(here("s/in"), { recursive: true });
      writeFileSync(here("s/a"), "a");
      chmodSync(here("s/a"), 0o600);
      symlinkSync("a", here("s/l"));
      symlinkSync("s", here("sl"));
      await ok(here("s"), `${id}:/tmp`);
      await ok(`${here("s")}/.`, `${id}:/tmp/contents`);
      await ok(here("s"), `${id}:/tmp/renamed`);
      await ok(here("sl"), `${id}:/tmp`);
      await ok(`${here("sl")}/`, `${id}:/tmp/behind`);
      await ok("-L", here("s/l"), `${id}:/tmp/followed`);
      await ok(here("s/a"), `${id}:/tmp/b`);
      await ok(here("s/a"), `${id}:/tmp/s/in/`);
      expect(await run(id, "cd /tmp; busybox find . | sort; busybox readlink sl; busybox stat -c %a b")).toBe(
        `${[".", "./b", "./behind", "./behind/a", "./behind/in", "./behind/l", "./contents", "./contents/a", "./contents/in", "./contents/l", "./followed", "./renamed", "./renamed/a", "./renamed/in", "./renamed/l", "./s", "./s/a", "./s/in", "./s/in/a", "./s/l", "./sl"].join("\n")}\ns\n600\n`,
      );
      await run(
        id,
        "busybox mkfifo /tmp/s/pipe; busybox ln /tmp/s/a /tmp/s/hard; busybox chmod 4711 /tmp/s/a",
      );
      await ok(`${id}:/tmp/s`, here("out"));
      expect(readdirSync(here("out")).sort()).toEqual(["a", "hard", "in", "l", "pipe"]);
      expect(readlinkSync(here("out/l"))).toBe("a");
      expect(statSync(here("out/a")).mode & 0o7777).toBe(0o4711);
      expect(statSync(here("out/a")).nlink).toBe(2);
      expect(statSync(here("out/pipe")).isFIFO()).toBe(true);
      await ok(`${id}:/tmp/s/.`, here("out/in"));
      await ok(`${id}:/tmp/s/l`, here("link"));
      await ok("-L", `${id}:/tmp/s/l`, here("target"));
      expect(readlinkSync(here("link"))).toBe("a");
      expect(readFileSync(here("target"), "utf8")).toBe("a");
      expect(existsSync(here("out/in/in/a"))).toBe(true);
    });

    test("says what is wrong, as docker does", async () => {
      const id = await start();
      await run(id, "mkdir -p /d/a; echo f > /d/f");
      mkdirSync(here("w"), { recursive: true });
      writeFileSync(here("w/a"), "a");
      const daemon = "Error response from daemon: ";
      const failures: [string[], string][] = [
        [[here("w"), `${id}:/d/f`], "cannot copy directory"],
        [[here("w/a"), `${id}:/none/`], "no such directory"],
        [[here("w/a"), `${id}:/none/x`], `${daemon}Could not find the file /none in container ${id}`],
        [[here("w/a"), `${id}:/d`], `${daemon}cannot overwrite directory "/d/a" with non-directory "/d"`],
        [[`${id}:/none`, here("x")], `${daemon}Could not find the file /none in container ${id}`],
        [[`${id}:/d`, here("w/a")], "cannot copy directory"],
        [[`${id}:/d/f`, here("no/x")], `invalid output path: directory "${here("no")}" does not exist`],
        [["-", `${id}:/d/f`], `destination "${id}:/d/f" must be a directory`],
        [[`${id}:/d`, `${id}:/tmp`], "copying between containers is not supported"],
        [["a", "b"], "must specify at least one container source"],
        [["nobody:/x", here("x")], `${daemon}No such container: nobody`],
      ];
      for (const [args, expected] of failures) {
        const { code, stderr } = await cp(...args);
        // The docker CLI also logs that its own pipe was closed.
        expect([code, stderr.split("\n").filter((line) => !line.startsWith("time="))[0]]).toEqual([
          1,
          expected,
        ]);
      }
    });

    test("passes archives through, and tells how much when asked", async () => {
      const id = await start();
      const tar = await tarOf({ name: "one/two", content: "2" });
      const input = tar.toString("latin1");
      expect(await engine.cli(program, ["cp", "-", `${id}:/tmp`], { input })).toMatchObject({ code: 0 });
      expect(await run(id, "cat /tmp/one/two")).toBe("2");
      const { stdout } = await cp(`${id}:/tmp/one`, "-");
      expect(stdout).toContain("one/two");
      expect((await cp("--quiet=false", `${id}:/tmp/one`, here("told"))).stderr).toMatch(
        /Successfully copied \d[\d.]*kB to .*told\n$/,
      );
    });
  });

test("an archive from a container cannot reach out of its directory on this side", async () => {
  const id = await start();
  const outside = join(local, "outside");
  mkdirSync(outside);
  await run(id, `mkdir /e; busybox ln -s ${outside} /e/link`);
  const target = join(local, "target");
  await engine.cli("wherry", ["cp", `${id}:/e`, target]);
  expect(readlinkSync(join(target, "link"))).toBe(outside);
  // The same name again, now a directory with something in it: the link brought before gives way, and is not followed.
  await run(id, "busybox rm /e/link; mkdir /e/link; echo x > /e/link/x");
  expect((await engine.cli("wherry", ["cp", `${id}:/e/.`, target])).stderr).toContain(
    "cannot overwrite non-directory",
  );
  expect(readdirSync(outside)).toEqual([]);
});

describe("a copy that is cut off", () => {
  const big = "busybox dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null";

  /** Asks for an archive and reads one part of it. */
  async function begin(id: string): Promise<{ leave(): void }> {
    const socket = connect(engine.host.slice("unix://".length));
    socket.write(`GET /v1.50/containers/${id}/archive?path=/big HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(socket, "readable");
    return { leave: () => socket.destroy() };
  }

  async function stopped(): Promise<string> {
    const id = await start();
    await run(id, big);
    await client.containers.kill(id, "KILL");
    await (await client.containers.wait(id)).exit;
    await until(() => mounts() === 0);
    return id;
  }

  test("by a client that leaves, holds nothing", async () => {
    const id = await stopped();
    const before = descriptors();
    const copy = await begin(id);
    expect(mounts()).toBe(0);
    copy.leave();
    await until(() => descriptors() <= before);
    expect(mounts()).toBe(0);
    await client.containers.remove(id);
  });

  test("by the death of the engine, leaves no mount", async () => {
    const id = await stopped();
    await begin(id);
    await engine.stop("SIGKILL");
    expect(mounts()).toBe(0);
    await engine.start();
    expect(await get(id, "/etc/group")).toEqual({ group: "root:x:0:\nwww:x:44:\n" });
  });

  test("is not disturbed by starts, stops and removal meanwhile, and does not disturb them", async () => {
    const id = await stopped();
    const { tar } = await client.archives.read(id, "/big");
    const reader = tar[Symbol.asyncIterator]();
    await reader.next();
    for (const round of [1, 2]) {
      await client.containers.start(id);
      await run(id, `echo ${round} > /seen`);
      // One file system, seen from both sides.
      expect(await get(id, "/seen")).toEqual({ seen: `${round}\n` });
      await client.containers.kill(id, "KILL");
      await (await client.containers.wait(id)).exit;
    }
    await client.containers.remove(id, { force: true });
    await reader.return?.();
    await until(() => engine.leaks().length === 0);
  });
});

describe("hostile containers", () => {
  test("one that exchanges a directory and a link during 1,000 copies each way touches nothing of the host (CVE-2018-15664)", async () => {
    const id = await start();
    const canary = join(local, "canary");
    mkdirSync(canary);
    writeFileSync(join(canary, "secret"), "the host's");
    await run(id, `mkdir -p /work/d ${canary}; echo own > /work/d/secret; echo own > ${canary}/secret`);
    const pid = (await client.containers.inspect(id)).State.Pid;
    {
      await using _ = running(flipping(`/proc/${pid}/root/work`, canary));
      const tar = await tarOf(
        { name: "written", content: "by a copy" },
        { name: "sub/written", content: "by a copy" },
      );
      const seen = new Set<string>();
      let written = 0;
      const rounds = Array.from({ length: 1000 }).keys();
      const lane = async () => {
        for (const _ of rounds) {
          const [read, write] = await Promise.allSettled([
            get(id, "/work/d/secret"),
            put(id, "/work/d", tar),
          ]);
          if (read.status === "fulfilled") for (const content of Object.values(read.value)) seen.add(content);
          // What was nothing or a link for a moment may be told as such; a reading may also break off.
          if (write.status === "fulfilled") written++;
          else expect(statusOf(write.reason)).toBeOneOf([400, 404, 409]);
        }
      };
      await Promise.all([lane(), lane(), lane(), lane()]);
      expect([...seen]).toEqual(["own\n"]);
      expect(written).toBeGreaterThan(0);
    }
    expect(readdirSync(canary)).toEqual(["secret"]);
    expect(readFileSync(join(canary, "secret"), "utf8")).toBe("the host's");
  }, 180_000);

  test("one that exchanges a file for a pipe or a disk while it is read neither stops the engine nor shows the disk", async () => {
    const id = await start();
    await run(
      id,
      "mkdir /f; echo file > /f/a; busybox mkfifo /f/pipe; busybox mknod /f/disk b 8 0; busybox mknod /f/zero c 1 5",
    );
    const pid = (await client.containers.inspect(id)).State.Pid;
    await using _ = running(exchanging(`/proc/${pid}/root/f`, ["pipe", "disk", "zero"]));
    for (let round = 0; round < 200; round++)
      for (const content of Object.values(await get(id, "/f").catch(() => ({}))))
        expect(["", "file\n"]).toContain(content as string);
  }, 180_000);

  test("programs and libraries in its root never run (CVE-2019-14271, CVE-2026-41567)", async () => {
    const id = await start({}, { User: "web" });
    const marker = join(local, "ran");
    const trap = Buffer.from(`#!/bin/sh\necho ran >> ${marker}\n`);
    const names = ["xz", "unxz", "gzip", "gunzip", "unpigz", "bzip2", "zstd", "tar", "getent", "mknod"];
    const places = names.flatMap((name) => [`bin/${name}`, `usr/bin/${name}`, `usr/local/bin/${name}`]);
    const libraries = ["libnss_files.so.2", "libnss_dns.so.2", "libc.so.6"].map(
      (name) => `lib/x86_64-linux-gnu/${name}`,
    );
    await put(
      id,
      "/",
      await tarOf(...[...places, ...libraries].map((name) => ({ name, content: trap, mode: 0o755 }))),
    );
    const tar = await tarOf({ name: "packed", content: "plain" });
    const packed: Record<string, Buffer> = { gzip: gzipSync(tar), zstd: zstdCompressSync(tar) };
    for (const tool of ["xz", "bzip2"]) {
      const child = spawn(tool, ["-c"], { stdio: ["pipe", "pipe", "inherit"] });
      child.stdin.end(tar);
      packed[tool] = await whole(child.stdout);
    }
    for (const [format, bytes] of Object.entries(packed)) {
      await put(id, "/tmp", bytes, { asUser: true });
      expect(await get(id, "/tmp/packed")).toEqual({ packed: "plain" });
      await run(id, "rm -f /tmp/packed");
      await fault(put(id, "/tmp", bytes.subarray(0, bytes.length >> 1))).then((said) =>
        expect(said).toStartWith(`400 the ${format} data is damaged or cut off`),
      );
    }
    expect(existsSync(marker)).toBe(false);
    expect(await engine.cli("wherry", ["exec", id, "busybox", "test", "-e", marker])).toMatchObject({
      code: 1,
    });
  });

  test("a passwd file that is a pipe or a device is not read (CVE-2024-9676)", async () => {
    const id = await start({}, { User: "33:44" });
    await run(id, "busybox id -u").catch(() => undefined);
    const tar = await tarOf({ name: "etc/passwd", type: "fifo" });
    await put(id, "/", tar);
    await put(id, "/tmp", await tarOf({ name: "f", content: "" }), { asUser: true });
    expect(await run(id, "busybox stat -c %u:%g /tmp/f")).toBe("33:44\n");
  });

  test("links of a volume do not lead to the host, neither in nor out", async () => {
    const id = await start({ Binds: ["/volume"] });
    const canary = join(local, "volume-canary");
    mkdirSync(canary);
    writeFileSync(join(canary, "secret"), "the host's");
    await run(id, `busybox ln -s ${canary} /volume/out; busybox ln -s ${canary}/secret /volume/secret`);
    expect(await fault(get(id, "/volume/out/"))).toStartWith("404 ");
    expect(await get(id, "/volume/secret")).toEqual({ secret: "" });
    expect(await fault(put(id, "/volume/out", await tarOf({ name: "x", content: "x" })))).toStartWith("404 ");
    await put(id, "/volume", await tarOf({ name: "secret", content: "x" }));
    expect(readdirSync(canary)).toEqual(["secret"]);
    expect(readFileSync(join(canary, "secret"), "utf8")).toBe("the host's");
    expect(await run(id, "cat /volume/secret")).toBe("x");
    rmSync(canary, { recursive: true });
  });
});

/** Runs a program until it is disposed, and fails when it ended before. */
function running(program: string): AsyncDisposable {
  const child = spawn(process.execPath, ["-e", program], { stdio: "inherit" });
  return {
    [Symbol.asyncDispose]: async () => {
      expect(child.exitCode).toBeNull();
      child.kill("SIGKILL");
      await once(child, "close");
    },
  };
}

/** A program that makes `d` in turn a directory, nothing, a link and nothing, whatever a copy puts there meanwhile. */
function flipping(directory: string, target: string): string {
  return `const { renameSync, rmSync, symlinkSync } = require("node:fs"), at = ${JSON.stringify(`${directory}/`)};
    const attempt = (work) => { try { work(); } catch {} };
    const remove = () => rmSync(at + "d", { recursive: true, force: true });
    for (;;) {
      attempt(() => renameSync(at + "d", at + "d2")); attempt(remove);
      attempt(() => symlinkSync(${JSON.stringify(target)}, at + "d")); attempt(remove);
      attempt(() => renameSync(at + "d2", at + "d"));
    }`;
}

/** A program that puts each of the others in the place of `a`, and takes it away again. */
function exchanging(directory: string, others: readonly string[]): string {
  return `const { renameSync } = require("node:fs"), at = ${JSON.stringify(`${directory}/`)};
    const mv = (from, to) => renameSync(at + from, at + to);
    for (;;) for (const other of ${JSON.stringify(others)})
      { mv("a", "kept"); mv(other, "a"); mv("a", other); mv("kept", "a"); }`;
}
