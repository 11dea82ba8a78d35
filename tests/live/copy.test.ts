/** Files in and out of containers: what `docker cp`, `diff` and `export` do and say. */

import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
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
import { join } from "node:path";
import { mountsBeneath } from "#kernel/mounts/mount.ts";
import { copyLab, fault, type Host, tarOf, whole } from "./copy-lab.ts";
import { type CliResult, dockerCli } from "./engine-under-test.ts";
import { until } from "./told.ts";

const lab = copyLab();
const { create, start, run, put, get } = lab;

const descriptors = () => readdirSync(`/proc/${lab.engine.pid}/fd`).length;
const mounts = () => mountsBeneath(join(lab.engine.directory, "data")).length;

describe("what a container's files are", () => {
  const places = (): Host => {
    const bound = join(lab.local, "bound");
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
    expect(readFileSync(join(lab.local, "bound", "copied"), "utf8")).toBe("/bound");
    expect((await get(id, "/etc/hosts"))["hosts"]).toContain("localhost");
    for (const pseudo of ["/proc/cpuinfo", "/sys/kernel", "/dev/null"])
      expect(await fault(get(id, pseudo))).toBe(`404 Could not find the file ${pseudo} in container ${id}`);
  });

  test("volumes and binds of one that never ran, and nothing is mounted for it", async () => {
    const id = await create(places());
    const before = descriptors();
    await put(id, "/volume", await tarOf({ name: "early", content: "early" }));
    expect(await get(id, "/bound")).toEqual({ "bound/": "", "bound/there": "bound" });
    expect(await get(id, "/bin/busybox").then((files) => Object.keys(files))).toEqual(["busybox"]);
    expect(mounts()).toBe(0);
    await until(() => descriptors() <= before);
    await lab.client.containers.start(id);
    expect(await run(id, "cat /volume/early")).toBe("early");
  });

  test("an export has none of them, in an order that does not change", async () => {
    const id = await start(places());
    await run(id, "echo x > /volume/x; echo y > /memory/y; mkdir /made; echo z > /made/z");
    const names = async () => {
      const listed = spawn("tar", ["tf", "-"], { stdio: ["pipe", "pipe", "inherit"] });
      for await (const part of await lab.client.archives.export(id)) listed.stdin.write(Buffer.from(part));
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
    await lab.client.containers.kill(id, "KILL");
    expect(await names()).toEqual(running);
  });

  test("changes, as docker diff lists them", async () => {
    const id = await start();
    expect(await lab.client.archives.changes(id)).toEqual([]);
    await run(
      id,
      "echo x > /etc/new; rm /etc/group; mkdir -p /a/b; rm -r /www; mkdir /www; chmod 700 /root; mv /bin/tty /bin/moved",
    );
    const { stdout } = await lab.engine.cli("wherry", ["diff", id]);
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
    const bound = join(lab.local, "sealed");
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
    const cp = async (...args: string[]): Promise<CliResult> =>
      await lab.engine.cli(program, ["cp", ...args]);
    const ok = async (...args: string[]): Promise<void> =>
      expect(await cp(...args)).toEqual({ code: 0, stdout: "", stderr: "" });
    const here = (name: string) => join(lab.local, program, name);

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
      expect(await lab.engine.cli(program, ["cp", "-", `${id}:/tmp`], { input })).toMatchObject({ code: 0 });
      expect(await run(id, "cat /tmp/one/two")).toBe("2");
      const { stdout } = await cp(`${id}:/tmp/one`, "-");
      expect(stdout).toContain("one/two");
      expect((await cp("--quiet=false", `${id}:/tmp/one`, here("told"))).stderr).toMatch(
        /Successfully copied \d[\d.]*kB to .*told\n$/,
      );
    });
  });
