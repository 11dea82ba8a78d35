/**
 * Copies that somebody disturbs: clients that leave, engines that die, containers and archives that are hostile
 * (lessons of CVE-2018-15664, 2019-14271, 2021-32760, 2024-9676, 2026-17106, 2026-41567, 2026-41568).
 */

import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { mountsBeneath } from "#kernel/mounts/mount.ts";
import { Fault } from "#spec/fault.ts";
import { copyLab, fault, tarOf, whole } from "./copy-lab.ts";
import { until } from "./told.ts";

const lab = copyLab();
const { start, run, put, get } = lab;

const descriptors = () => readdirSync(`/proc/${lab.engine.pid}/fd`).length;
const mounts = () => mountsBeneath(join(lab.engine.directory, "data")).length;

function statusOf(thrown: unknown): unknown {
  return thrown instanceof Fault ? thrown.detail["status"] : thrown;
}

test("an archive from a container cannot reach out of its directory on this side", async () => {
  const id = await start();
  const outside = join(lab.local, "outside");
  mkdirSync(outside);
  await run(id, `mkdir /e; busybox ln -s ${outside} /e/link`);
  const target = join(lab.local, "target");
  await lab.engine.cli("wherry", ["cp", `${id}:/e`, target]);
  expect(readlinkSync(join(target, "link"))).toBe(outside);
  // The same name again, now a directory with something in it: the link brought before gives way, and is not followed.
  await run(id, "busybox rm /e/link; mkdir /e/link; echo x > /e/link/x");
  expect((await lab.engine.cli("wherry", ["cp", `${id}:/e/.`, target])).stderr).toContain(
    "cannot overwrite non-directory",
  );
  expect(readdirSync(outside)).toEqual([]);
});

describe("a copy that is cut off", () => {
  const big = "busybox dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null";

  /** Asks for an archive and reads one part of it. */
  async function begin(id: string): Promise<{ leave(): void }> {
    const socket = connect(lab.engine.host.slice("unix://".length));
    socket.write(`GET /v1.50/containers/${id}/archive?path=/big HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(socket, "readable");
    return { leave: () => socket.destroy() };
  }

  async function stopped(): Promise<string> {
    const id = await start();
    await run(id, big);
    await lab.client.containers.kill(id, "KILL");
    await (await lab.client.containers.wait(id)).exit;
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
    await lab.client.containers.remove(id);
  });

  test("by the death of the engine, leaves no mount", async () => {
    const id = await stopped();
    await begin(id);
    await lab.engine.stop("SIGKILL");
    expect(mounts()).toBe(0);
    await lab.engine.start();
    expect(await get(id, "/etc/group")).toEqual({ group: "root:x:0:\nwww:x:44:\n" });
  });

  test("is not disturbed by starts, stops and removal meanwhile, and does not disturb them", async () => {
    const id = await stopped();
    const { tar } = await lab.client.archives.read(id, "/big");
    const reader = tar[Symbol.asyncIterator]();
    await reader.next();
    for (const round of [1, 2]) {
      await lab.client.containers.start(id);
      await run(id, `echo ${round} > /seen`);
      // One file system, seen from both sides.
      expect(await get(id, "/seen")).toEqual({ seen: `${round}\n` });
      await lab.client.containers.kill(id, "KILL");
      await (await lab.client.containers.wait(id)).exit;
    }
    await lab.client.containers.remove(id, { force: true });
    await reader.return?.();
    expect(await lab.engine.leaks()).toEqual([]);
  });
});

describe("hostile containers", () => {
  test("one that exchanges a directory and a link during 1,000 copies each way touches nothing of the host (CVE-2018-15664)", async () => {
    const id = await start();
    const canary = join(lab.local, "canary");
    mkdirSync(canary);
    writeFileSync(join(canary, "secret"), "the host's");
    await run(id, `mkdir -p /flip/d ${canary}; echo own > /flip/d/secret; echo own > ${canary}/secret`);
    const pid = (await lab.client.containers.inspect(id)).State.Pid;
    {
      await using _ = running(flipping(`/proc/${pid}/root/flip`, canary));
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
            get(id, "/flip/d/secret"),
            put(id, "/flip/d", tar),
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
    const pid = (await lab.client.containers.inspect(id)).State.Pid;
    await using _ = running(exchanging(`/proc/${pid}/root/f`, ["pipe", "disk", "zero"]));
    for (let round = 0; round < 200; round++)
      for (const content of Object.values(await get(id, "/f").catch(() => ({}))))
        expect(["", "file\n"]).toContain(content as string);
  }, 180_000);

  test("programs and libraries in its root never run (CVE-2019-14271, CVE-2026-41567)", async () => {
    const id = await start({}, { User: "web" });
    const marker = join(lab.local, "ran");
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
    expect(await lab.engine.cli("wherry", ["exec", id, "busybox", "test", "-e", marker])).toMatchObject({
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
    const canary = join(lab.local, "volume-canary");
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
