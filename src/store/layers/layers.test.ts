import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { mountsBeneath, unmount } from "#kernel/mounts/mount.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { Records } from "#store/records.ts";
import { Layers } from "./layers.ts";

let root: string;
let records: Records;
let layers: Layers;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "wherry-layers-"));
  records = Records.open(join(root, "records.db"));
  layers = await Layers.open(join(root, "l"), { records });
});
afterEach(async () => {
  for (const { target } of mountsBeneath(root)) unmount(target, { detach: true });
  records[Symbol.dispose]();
  await rm(root, { recursive: true, force: true });
});

type Entry = Parameters<ReturnType<typeof pack>["entry"]>[0] & { content?: string };

async function tarOf(...entries: Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content, ...header } of entries) tar.entry(header, content ?? "");
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

async function* inParts(bytes: Uint8Array, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

async function base(): Promise<ChainId> {
  const tar = await tarOf(
    { name: "etc/", type: "directory", mode: 0o755 },
    { name: "etc/motd", content: "hello\n", mode: 0o644, uid: 3, gid: 4 },
    { name: "etc/gone", content: "x" },
    { name: "dir/", type: "directory", mode: 0o711 },
    { name: "dir/a", content: "a" },
    { name: "dir/b", content: "b" },
    { name: "link", type: "symlink", linkname: "/etc/motd" },
  );
  return (await layers.apply(undefined, inParts(tar))).chainId;
}

describe("a layer", () => {
  test("has the digest of its uncompressed tar, and gives back exactly those bytes", async () => {
    const tar = await tarOf(
      { name: "a", content: "1" },
      { name: "a", content: "22" },
      { name: "b".repeat(150), content: "long" },
    );
    const layer = await layers.apply(undefined, inParts(gzipSync(tar)));
    expect(layer.diffId as string).toBe(sha256(tar));
    expect(layer.chainId as string).toBe(layer.diffId);
    expect((await collect(layers.tar(layer.chainId))).equals(tar)).toBe(true);
    const again = await layers.apply(undefined, inParts(tar, 513));
    expect(again).toEqual(layer);
    expect(readdirSync(join(root, "l", "incoming"))).toEqual([]);
  });

  test("is not kept when its tar is damaged", async () => {
    const tar = await tarOf({ name: "a", content: "1" });
    tar[3] = 0x41;
    const error = await layers.apply(undefined, inParts(tar)).catch((e: unknown) => e);
    expect(Fault.from(error).kind).toBe("invalid");
    expect(layers.list()).toEqual([]);
    expect(readdirSync(join(root, "l", "incoming"))).toEqual([]);
    expect(readdirSync(join(root, "l", "layers"))).toEqual([]);
  });

  test("is not removed while something stands on it, and leaves nothing when it is", async () => {
    const below = await base();
    await layers.createWritable("one", below, { skeleton: true });
    const refusal = await layers.remove(below).catch((e: unknown) => e);
    expect(Fault.from(refusal).kind).toBe("conflict");
    await layers.removeWritable("one");
    expect(await layers.remove(below)).toBe(true);
    expect(await layers.remove(below)).toBe(false);
    await layers.removed();
    for (const name of ["layers", "skeletons", "writable", "incoming", "outgoing"])
      expect(readdirSync(join(root, "l", name))).toEqual([]);
  });
});

function changeThings(merged: string): void {
  writeFileSync(join(merged, "etc/new"), "new");
  linkSync(join(merged, "etc/new"), join(merged, "etc/new-too"));
  rmSync(join(merged, "etc/gone"));
  rmSync(join(merged, "dir"), { recursive: true });
  mkdirSync(join(merged, "dir"));
  writeFileSync(join(merged, "dir/c"), "c");
  symlinkSync("nowhere", join(merged, "lost"));
}

describe("what comes from strangers", () => {
  test("is refused at the first byte too many, and leaves nothing (CVE-2017-14992)", async () => {
    const bomb = gzipSync(await tarOf({ name: "zeros", content: "\0".repeat(8 << 20) }));
    const work = layers.apply(undefined, inParts(bomb), { plainBytesMax: 1 << 20 });
    expect((await work.catch(Fault.from)) as Fault).toMatchObject({
      kind: "invalid",
      message: expect.stringContaining("it is a bomb"),
    });
    expect([readdirSync(join(root, "l/layers")), readdirSync(join(root, "l/incoming"))]).toEqual([[], []]);
  });

  test("is what it should be, or nothing", async () => {
    const tar = await tarOf({ name: "a", content: "a" });
    const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}` as Digest;
    const other = `sha256:${"0".repeat(64)}` as Digest;
    const wrong = layers.apply(undefined, inParts(tar), { diffId: other });
    expect(((await wrong.catch(Fault.from)) as Fault).message).toContain(`is really ${diffId}`);
    expect(readdirSync(join(root, "l/layers"))).toEqual([]);
    expect((await layers.apply(undefined, inParts(tar), { diffId })).diffId).toBe(diffId);
  });
});

describe("a writable layer", () => {
  test("shows what is below, and its changes as docker diff does", async () => {
    await layers.createWritable("w", await base(), { skeleton: true });
    const merged = layers.mount("w");
    expect(layers.mount("w")).toBe(merged);
    expect(readFileSync(join(merged, "etc/motd"), "utf8")).toBe("hello\n");
    expect(statSync(join(merged, "etc/motd")).gid).toBe(4);
    expect(readlinkSync(join(merged, "etc/mtab"))).toBe("/proc/mounts");
    expect(await Array.fromAsync(layers.changes("w"))).toEqual([]);
    changeThings(merged);
    expect(await Array.fromAsync(layers.changes("w"))).toEqual([
      { kind: "modified", path: "/dir" },
      { kind: "deleted", path: "/dir/a" },
      { kind: "deleted", path: "/dir/b" },
      { kind: "added", path: "/dir/c" },
      { kind: "modified", path: "/etc" },
      { kind: "deleted", path: "/etc/gone" },
      { kind: "added", path: "/etc/new" },
      { kind: "added", path: "/etc/new-too" },
      { kind: "added", path: "/lost" },
    ]);
    expect(await layers.usage("w")).toBe("new".length + "c".length + "nowhere".length);
  });

  for (const consume of [true, false])
    test(`becomes a layer that looks the same above its parent, ${consume ? "moved" : "copied"}`, async () => {
      const below = await base();
      await layers.createWritable("w", below);
      changeThings(layers.mount("w"));
      const layer = await layers.commit("w", { consume });
      expect(layer.parent).toBe(below);
      const tar = await collect(layers.tar(layer.chainId));
      expect(sha256(tar)).toBe(layer.diffId as string);
      expect(layers.writables().map(({ id }) => id)).toEqual(consume ? [] : ["w"]);
      await layers.createWritable("look", layer.chainId);
      const merged = layers.mount("look");
      expect(existsSync(join(merged, "etc/gone"))).toBe(false);
      expect(readdirSync(join(merged, "dir"))).toEqual(["c"]);
      expect(statSync(join(merged, "etc/new")).ino).toBe(statSync(join(merged, "etc/new-too")).ino);
      expect(lstatSync(join(merged, "lost")).isSymbolicLink()).toBe(true);
      // Elsewhere, from the tar alone, it is the same layer.
      const received = await layers.apply(below, inParts(tar));
      expect(received.chainId).toBe(layer.chainId);
    });

  test("moved or copied has one digest", async () => {
    const below = await base();
    await layers.createWritable("w", below);
    changeThings(layers.mount("w"));
    const copied = await layers.commit("w", {});
    const moved = await layers.commit("w", { consume: true });
    expect(moved).toEqual(copied);
  });

  test("can stand on nothing, and on more than a hundred layers", async () => {
    await layers.createWritable("bare", undefined);
    expect(readdirSync(layers.mount("bare"))).toEqual([]);
    let top: ChainId | undefined;
    for (let index = 0; index < 120; index++)
      top = (await layers.apply(top, inParts(await tarOf({ name: `f${index}`, content: `${index}` }))))
        .chainId;
    await layers.createWritable("high", top);
    expect(readdirSync(layers.mount("high")).length).toBe(120);
  });
});

test("what a crash left is swept when the store opens, what is recorded stays", async () => {
  const below = await base();
  await layers.createWritable("w", below);
  const merged = layers.mount("w");
  mkdirSync(join(root, "l", "incoming", "half"));
  mkdirSync(join(root, "l", "outgoing", "half"));
  mkdirSync(join(root, "l", "layers", "0".repeat(64)));
  mkdirSync(join(root, "l", "writable", "nobody"));
  const reopened = await Layers.open(join(root, "l"), { records });
  expect(reopened.mount("w")).toBe(merged);
  for (const name of ["incoming", "outgoing"]) expect(readdirSync(join(root, "l", name))).toEqual([]);
  expect(readdirSync(join(root, "l", "layers")).length).toBe(1);
  expect(readdirSync(join(root, "l", "writable"))).toEqual(["w"]);
  reopened.unmount("w");
  expect(mountsBeneath(root)).toEqual([]);
});

test("what is mounted briefly is not written out when it ends, and becomes the same layer", async () => {
  const below = await base();
  const layer = async (id: string, brief: boolean) => {
    await layers.createWritable(id, below);
    const merged = layers.mount(id, { brief });
    writeFileSync(join(merged, "made"), "content");
    utimesSync(join(merged, "made"), 1, 1);
    const mounted = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    const { diffId } = await layers.commit(id, { consume: true });
    return { diffId, line: mounted.find((line) => line.includes(` ${merged} `)) ?? "" };
  };
  const [plain, brief] = [await layer("plain", false), await layer("brief", true)];
  expect(brief.diffId).toBe(plain.diffId);
  expect(plain.line).not.toContain("volatile");
  expect(brief.line).toContain("volatile");
  // One that an engine left mounted is taken away like any other.
  await layers.createWritable("left", below);
  layers.mount("left", { brief: true });
  const reopened = await Layers.open(join(root, "l"), { records });
  await reopened.removeWritable("left");
  expect(mountsBeneath(root)).toEqual([]);
});
