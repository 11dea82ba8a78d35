/** What an image has at a volume's place comes into it as a whole, or not at all. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pack } from "tar-stream";
import { mountsBeneath, mountTmpfs, unmount } from "#kernel/mounts/mount.ts";
import { EngineUnderTest } from "./engine-under-test.ts";
import { until } from "./told.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

async function done(...words: string[]): Promise<string> {
  const { stdout, stderr, code } = await engine.cli("wherry", words);
  expect(`${stderr}${code}`).toBe("0");
  return stdout.trim();
}

const volume = (...words: string[]) => join(engine.directory, "data/volumes", ...words);

/** An image on busybox whose layer is what `add` packs. */
async function image(of: EngineUnderTest, name: string, add: (tar: ReturnType<typeof pack>) => void) {
  const tar = pack();
  add(tar);
  tar.finalize();
  const client = await of.client();
  const o = { repo: name, tag: "latest", changes: ["CMD true"] };
  for await (const { error } of client.images.import(tar as AsyncIterable<Uint8Array>, o))
    expect(error).toBeUndefined();
}

async function build(of: EngineUnderTest, tag: string, dockerfile: string): Promise<void> {
  const context = join(engine.directory, "context");
  mkdirSync(context, { recursive: true });
  writeFileSync(join(context, "Dockerfile"), dockerfile);
  writeFileSync(join(context, "big"), Buffer.alloc(12 << 20, 1));
  const { code, stderr } = await of.cli("wherry", ["build", "-t", tag, context]);
  expect(code === 0 ? "" : stderr).toBe("");
}

test("an engine that dies meanwhile leaves the volume empty, and the next start fills it", async () => {
  const files = 6000;
  await image(engine, "many", (tar) => {
    tar.entry({ name: "data/", type: "directory", mode: 0o750, uid: 5, gid: 6 });
    for (let number = 0; number < files; number++) tar.entry({ name: `data/f${number}` }, "content");
    tar.entry({ name: "bin/true", mode: 0o755 }, "");
  });
  await done("create", "--name", "box", "-v", "kept:/data", "many");
  const starting = engine.cli("wherry", ["start", "box"]);
  const next = volume("kept/_data.next");
  await until(
    async () => (existsSync(next) && readdirSync(next).length > 100 ? true : undefined),
    "the copy has begun",
  );
  await engine.stop("SIGKILL");
  await starting;
  expect(readdirSync(volume("kept/_data"))).toEqual([]);
  await engine.start();
  expect(existsSync(next)).toBe(false);
  // It has no program that could run; its volume is filled before that is found out.
  await engine.cli("wherry", ["start", "box"]);
  expect(readdirSync(volume("kept/_data"))).toHaveLength(files);
  const { uid, gid, mode } = statSync(volume("kept/_data"));
  expect([uid, gid, mode & 0o7777]).toEqual([5, 6, 0o750]);
  await done("rm", "box");
}, 60_000);

test("two that start at once with the same new volume both see all of it", async () => {
  await image(engine, "some", (tar) => {
    for (let number = 0; number < 1500; number++) tar.entry({ name: `data/f${number}` }, "content");
  });
  await build(engine, "both", "FROM busybox\nCOPY --from=some /data /data\n");
  const count = ["sh", "-c", "ls /data | wc -l"];
  const runs = [1, 2, 3].map(async () => await done("run", "--rm", "-v", "shared:/data", "both", ...count));
  expect(await Promise.all(runs)).toEqual(["1500", "1500", "1500"]);
}, 60_000);

test("devices, pipes and links come along as they are; sockets and what is outside do not", async () => {
  await image(engine, "odd", (tar) => {
    tar.entry({ name: "real/", type: "directory" });
    tar.entry({ name: "real/null", type: "character-device", devmajor: 1, devminor: 3, mode: 0o666 });
    tar.entry({ name: "real/disk", type: "block-device", devmajor: 254, devminor: 0, mode: 0o600 });
    tar.entry({ name: "real/pipe", type: "fifo", mode: 0o600 });
    tar.entry({ name: "real/out", type: "symlink", linkname: "/etc/shadow" });
    tar.entry({ name: "link", type: "symlink", linkname: "/real" });
    tar.entry({ name: "up", type: "symlink", linkname: "../../../../var" });
  });
  await done("create", "--name", "box", "-v", "odd:/link", "-v", "up:/up", "odd", "true");
  await engine.cli("wherry", ["start", "box"]);
  expect(readdirSync(volume("up/_data"))).toEqual([]);
  const seen = await done("run", "--rm", "-v", "odd:/v", "busybox", "ls", "-l", "/v");
  const kinds = seen
    .split("\n")
    .slice(1)
    .map((line) => `${line[0]} ${/\S+( -> .*)?$/.exec(line)?.[0]}`);
  expect(kinds).toEqual(["b disk", "c null", "l out -> /etc/shadow", "p pipe"]);
  // The machine's disk is there as a file, and closed: no container may open devices it was not given.
  const opened = await engine.cli("wherry", [
    "run",
    "--rm",
    "-v",
    "odd:/v",
    "busybox",
    "head",
    "-c",
    "1",
    "/v/disk",
  ]);
  expect(opened.code).toBe(1);
  await done("rm", "box");
}, 30_000);

test("a full disk leaves the volume empty and nothing mounted; with room it starts", async () => {
  const root = join(engine.directory, "small");
  mkdirSync(root);
  mountTmpfs(root, { sizeBytes: 48 << 20 });
  try {
    await using small = await EngineUnderTest.startBeside(engine, "--data-root", root);
    await small.importBusybox();
    await build(small, "big", "FROM busybox\nCOPY big /data/big\nCMD ls -s /data\n");
    const ballast = join(root, "ballast");
    const { bavail, bsize } = statfsSync(root);
    writeFileSync(ballast, Buffer.alloc(bavail * bsize - (6 << 20)));
    const words = ["create", "--name", "box", "-v", "kept:/data", "big"];
    expect((await small.cli("wherry", words)).code).toBe(0);
    const refused = await small.cli("wherry", ["start", "box"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("no space left on device");
    expect(readdirSync(join(root, "volumes/kept"))).toEqual(["_data"]);
    expect(readdirSync(join(root, "volumes/kept/_data"))).toEqual([]);
    expect(mountsBeneath(root).filter(({ target }) => target !== root)).toEqual([]);
    rmSync(ballast);
    const started = await small.cli("wherry", ["start", "-a", "box"]);
    expect(started.stdout.trim()).toMatch(/\d+ big$/);
  } finally {
    unmount(root, { detach: true });
  }
}, 60_000);
