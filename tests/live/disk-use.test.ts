/** `system df` adds up to what `du` says of the data root. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pack } from "tar-stream";
import type { Client } from "#client/client.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

const near = (told: number, found: number) => expect(Math.abs(told / found - 1)).toBeLessThan(0.01);

/** Bytes of all files beneath, as `du` counts them. */
function du(...places: string[]): number {
  const paths = places.map((place) => join(engine.directory, "data", place));
  const { stdout } = spawnSync("du", ["-sbc", ...paths], { encoding: "utf8" });
  return Number(/^(\d+)\ttotal$/m.exec(stdout)?.[1]);
}

async function importFile(repo: string, bytes: Buffer): Promise<void> {
  const tar = pack();
  // The same layer each time, whatever the second.
  tar.entry({ name: "file", mtime: new Date("2026-01-01") }, bytes);
  tar.finalize();
  const source = tar as AsyncIterable<Uint8Array>;
  for await (const { error } of client.images.import(source, { repo, tag: "1", changes: [] }))
    expect(error).toBeUndefined();
}

async function run(...args: string[]): Promise<void> {
  const { code, stderr } = await engine.cli("wherry", args);
  expect([code, stderr]).toEqual([0, ""]);
}

test("layers, containers and volumes, within a per cent", async () => {
  // The same layer twice, an image on an image, one whose name went to another.
  const shared = randomBytes(5 << 20);
  await importFile("one", shared);
  await importFile("two", shared);
  await run("run", "--name", "base", "busybox", "sh", "-c", "head -c 6000000 /dev/urandom > /more");
  await run("commit", "base", "derived");
  await importFile("lost", randomBytes(4 << 20));
  await importFile("lost", randomBytes(2 << 20));
  const fill = "head -c 7000000 /dev/urandom > /data/file; head -c 4000000 /dev/urandom > /tmp/x";
  await run("run", "--name", "writer", "-v", "kept:/data", "derived", "sh", "-c", fill);
  const df = await client.diskUsage();
  const sum = (sizes: (number | undefined)[]) =>
    sizes.reduce<number>((total, size) => total + (size ?? 0), 0);
  const layers = df.LayersSize;
  const containers = sum((df.Containers ?? []).map(({ SizeRw }) => SizeRw));
  const volumes = sum((df.Volumes ?? []).map(({ UsageData }) => UsageData?.Size));
  near(layers, du("layers/layers"));
  near(containers, du("layers/writable"));
  near(volumes, du("volumes"));
  // What each image has for itself and what it shares: nothing is counted twice, nothing left out.
  const own = sum((df.Images ?? []).map(({ Size, SharedSize }) => Size - SharedSize));
  const table = await engine.cli("wherry", ["system", "df", "--format", "{{.Type}} {{.TotalCount}}"]);
  expect(table.stdout).toMatch(/^Images 6$/m);
  const base = (df.Images ?? []).find(({ RepoTags }) => RepoTags?.includes("busybox:latest"))?.Size ?? 0;
  near(layers - own, shared.length + base);
}, 30_000);

test("what is built, and images of other platforms behind one name, with nothing counted twice", async () => {
  const context = join(engine.directory, "context");
  mkdirSync(context);
  writeFileSync(
    join(context, "Dockerfile"),
    "FROM busybox AS kept\nRUN head -c 3000000 /dev/urandom > /a\nFROM busybox\nCOPY --from=kept /a /b\nRUN head -c 2000000 /dev/urandom > /c\n",
  );
  await run("build", "-q", "-t", "built", context);
  await load("every:1", ["amd64", "arm64"]);
  const { LayersSize, Images, BuildCache } = await client.diskUsage();
  expect((Images ?? []).filter(({ RepoTags }) => RepoTags?.includes("every:1")).length).toBe(2);
  const cached = (BuildCache ?? []).filter(({ Type, Shared }) => Type === "regular" && !Shared);
  const alone = cached.reduce((sum, { Size }) => sum + Size, 0);
  expect(alone).toBe(3_000_000);
  near(LayersSize + alone, du("layers/layers"));
}, 60_000);

/** An archive of one image for each architecture under one name. */
async function load(name: string, architectures: readonly string[]): Promise<void> {
  const archive = pack();
  const manifest = architectures.map((each) => ({
    ...{ Config: `${each}.json`, RepoTags: [name], Layers: [`${each}.tar`] },
  }));
  archive.entry({ name: "manifest.json" }, JSON.stringify(manifest));
  for (const architecture of architectures) {
    const layer = pack();
    layer.entry({ name: architecture }, randomBytes(3 << 20));
    layer.finalize();
    const bytes = Buffer.concat(await Array.fromAsync(layer as AsyncIterable<Buffer>));
    const diffId = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    const config = { os: "linux", architecture, rootfs: { type: "layers", diff_ids: [diffId] } };
    archive.entry({ name: `${architecture}.json` }, JSON.stringify(config));
    archive.entry({ name: `${architecture}.tar` }, bytes);
  }
  archive.finalize();
  for await (const { error } of client.images.load(archive as AsyncIterable<Uint8Array>, { quiet: true }))
    expect(error).toBeUndefined();
}
