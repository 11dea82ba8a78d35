/**
 * Transfers that end too soon: a disk that is full in the middle, an engine that is killed in the middle. The reason is told,
 * nothing half-made stays, what was there is still there, and the next attempt succeeds.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { mountTmpfs } from "#kernel/mounts/mount.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { digestOf, ScriptedRegistry } from "#registry/scripted-registry.ts";
import { mediaType } from "#spec/image.ts";
import { type CliResult, EngineUnderTest } from "./engine-under-test.ts";

const fullDisk = /no space left on device: the disk that holds .* remove what is not needed/;
const mebibyte = 1 << 20;
let engine: EngineUnderTest;
let registry: ScriptedRegistry;

const data = (...path: string[]): string => join(engine.directory, "data", ...path);
const kept = (place: string): string[] => readdirSync(data(place)).sort();
const wherry = async (...args: string[]): Promise<CliResult> => await engine.cli("wherry", args);
const images = async (): Promise<string> =>
  (await wherry("images", "--format", "{{.Repository}}:{{.Tag}}")).stdout;

/** What is half-made, and blobs; whole layers a broken pull may leave for the next. */
const halves = () => ["layers/incoming", "blobs/sha256", "blobs/incoming", "spool"].map(kept);
/** Everything of images that is on disk, but for downloads to go on with. */
const store = () => [kept("layers/layers"), ...halves()];

async function bytesOf(files: Record<string, Buffer | string>): Promise<Buffer> {
  const tar = pack();
  for (const [name, bytes] of Object.entries(files)) tar.entry({ name }, bytes);
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** An image of two layers, small and large, for the registry and as an archive. */
async function makeImage(name: string, largeBytes: number): Promise<{ reference: string; archive: string }> {
  const layers = [await bytesOf({ small: "small" }), await bytesOf({ large: randomBytes(largeBytes) })];
  const rootfs = { type: "layers", diff_ids: layers.map(digestOf) };
  const config = Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", rootfs }));
  const packed = layers.map((layer) => gzipSync(layer, { level: 1 }));
  registry.addManifest(name, "1", {
    schemaVersion: 2,
    mediaType: mediaType.dockerManifest,
    config: { mediaType: mediaType.dockerConfig, digest: registry.addBlob(config), size: config.length },
    layers: packed.map((bytes) => ({
      ...{ mediaType: mediaType.dockerLayerGzip, digest: registry.addBlob(bytes), size: bytes.length },
    })),
  });
  const archive = join(engine.directory, `${name}.tar`);
  const manifest = [{ Config: "config.json", RepoTags: [`${name}:loaded`], Layers: ["0", "1"] }];
  const [small = Buffer.alloc(0), large = Buffer.alloc(0)] = layers;
  // The documents last: what comes before them has to wait on disk.
  const files = { "0": small, "1": large, "config.json": config, "manifest.json": JSON.stringify(manifest) };
  writeFileSync(archive, await bytesOf(files));
  return { reference: `${registry.host}/${name}:1`, archive };
}

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  registry = await ScriptedRegistry.start({ within: (open) => inNamespace(engine.netns, open) });
}, 30_000);
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

describe("on a disk that is full in the middle", () => {
  const diskBytes = 40 * mebibyte;
  let image: Awaited<ReturnType<typeof makeImage>>;

  beforeAll(async () => {
    await engine.stop();
    rmSync(data(), { recursive: true });
    mkdirSync(data());
    mountTmpfs(data(), { sizeBytes: diskBytes });
    await engine.start();
    await engine.importBusybox();
    image = await makeImage("wide", 12 * mebibyte);
  }, 30_000);

  /** Takes all of the disk but so much. */
  async function filled(leftBytes: number, work: () => Promise<void>): Promise<void> {
    const { bavail, bsize } = statfsSync(data());
    const filler = data("filler");
    writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - leftBytes)));
    try {
      await work();
    } finally {
      rmSync(filler);
    }
  }

  test("a pull says so, keeps what came, and goes on from there", async () => {
    const before = store();
    for (const leftBytes of [6, 18]) {
      await filled(leftBytes * mebibyte, async () => {
        const { code, stderr, stdout } = await wherry("pull", image.reference);
        expect([code, stderr + stdout]).toEqual([1, expect.stringMatching(fullDisk)]);
      });
      expect(halves()).toEqual(before.slice(1));
    }
    expect(await images()).toBe("busybox:latest\n");
    const asked = registry.count("GET", /blobs/);
    expect((await wherry("pull", image.reference)).code).toBe(0);
    // All of the large layer was there before the disk was full again: only what was thrown away comes anew.
    expect(registry.count("GET", /blobs/) - asked).toBeLessThanOrEqual(3);
    expect(kept("arrivals")).toEqual([]);
    expect((await wherry("rmi", image.reference)).code).toBe(0);
    expect(store()).toEqual(before);
  }, 60_000);

  test("a load says so and leaves nothing", async () => {
    const before = store();
    // Where what has to wait does not fit; where the layer beside it does not.
    for (const leftBytes of [6, 18]) {
      await filled(leftBytes * mebibyte, async () => {
        const { code, stderr, stdout } = await wherry("load", "-i", image.archive);
        expect([code, stderr + stdout]).toEqual([1, expect.stringMatching(fullDisk)]);
      });
      expect(store()).toEqual(before);
    }
    expect((await wherry("load", "-i", image.archive)).code).toBe(0);
    expect(await images()).toContain("wide:loaded");
  }, 60_000);

  test("a save into a full disk says so and leaves no file; the engine needs no room for it", async () => {
    const place = join(engine.directory, "small");
    mkdirSync(place);
    mountTmpfs(place, { sizeBytes: 4 * mebibyte });
    const failed = await wherry("save", "-o", join(place, "wide.tar"), "wide:loaded");
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringMatching(/ENOSPC|no space left/)]);
    expect(readdirSync(place)).toEqual([]);
    await filled(0, async () => {
      const path = join(engine.directory, "saved.tar");
      expect(await wherry("save", "-o", path, "wide:loaded")).toMatchObject({ code: 0, stderr: "" });
      truncateSync(path);
    });
  }, 30_000);

  test("a push says so, or needs no room, and nothing is lost", async () => {
    const name = `${registry.host}/pushed:1`;
    expect((await wherry("tag", "wide:loaded", name)).code).toBe(0);
    await filled(0, async () => {
      const { code, stderr, stdout } = await wherry("push", name);
      if (code !== 0) expect(stderr + stdout).toMatch(/no space left on device|disk is full/);
    });
    expect((await wherry("push", name)).code).toBe(0);
    expect(registry.manifests.has("pushed:1")).toBe(true);
    expect(await images()).toContain("wide:loaded");
  }, 30_000);
});

describe("killed in the middle", () => {
  let image: Awaited<ReturnType<typeof makeImage>>;
  beforeAll(async () => {
    await wherry("rmi", "wide:loaded", `${registry.host}/pushed:1`);
    image = await makeImage("killed", 10 * mebibyte);
  }, 30_000);

  /** What there is to wait for, in the order it comes. */
  const moments: readonly [string, string][] = [
    ["something waits on disk", "spool"],
    ["a layer is being made", "layers/incoming"],
    ["a layer was made", "layers/layers"],
  ];

  for (const [what, place] of moments)
    test(`a load, when ${what}`, async () => {
      await wherry("rmi", "killed:loaded");
      const before = [await images(), store()];
      const had = kept(place).length;
      const child = engine.spawn("wherry", ["load", "-i", image.archive]);
      const exited = new Promise((resolve) => child.once("close", resolve));
      while (kept(place).length === had && child.exitCode === null) await Bun.sleep(1);
      await engine.stop("SIGKILL");
      await exited;
      await engine.start();
      const now = await images();
      // Whole or not there; nothing between.
      if (now === before[0]) expect(store()).toEqual(before[1] as string[][]);
      else expect(now).toContain("killed:loaded");
      expect((await wherry("load", "-i", image.archive)).code).toBe(0);
      expect((await wherry("save", "-o", join(engine.directory, "check.tar"), "killed:loaded")).code).toBe(0);
    }, 60_000);

  test("a pull, when a layer is being made", async () => {
    await wherry("rmi", "killed:loaded");
    const before = halves();
    const child = engine.spawn("wherry", ["pull", image.reference]);
    const exited = new Promise((resolve) => child.once("close", resolve));
    while (kept("layers/incoming").length === 0 && child.exitCode === null) await Bun.sleep(1);
    await engine.stop("SIGKILL");
    await exited;
    await engine.start();
    if (!(await images()).includes(image.reference)) expect(halves()).toEqual(before);
    expect((await wherry("pull", image.reference)).code).toBe(0);
    expect(halves()[0]).toEqual([]);
    const ran = await wherry("save", "-o", join(engine.directory, "check.tar"), image.reference);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
  }, 60_000);
});
