/** Pushes in whose middle one side is killed: the registry, which comes back, and the engine. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { pack } from "tar-stream";
import { EngineUnderTest } from "./engine-under-test.ts";
import { ServedRegistry } from "./served-registry.ts";
import { until } from "./told.ts";

const layerBytes = 24 << 20;
const halfBytes = 4 << 20;
let engine: EngineUnderTest;
let root: string;
let served: ServedRegistry;
let image: string;

const serve = async (...flags: string[]) =>
  await ServedRegistry.start(["--root", root, ...flags], { netns: engine.netns });

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  root = join(engine.directory, "served");
  served = await serve();
  image = `${served.host}/killed`;
}, 30_000);
afterAll(async () => {
  await served?.[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

/** An image that no registry has, by tag. @returns Its id. */
async function makeImage(tag: string): Promise<string> {
  const client = await engine.client();
  const tar = pack();
  tar.entry({ name: "file" }, randomBytes(layerBytes));
  tar.finalize();
  const source = tar as AsyncIterable<Uint8Array>;
  for await (const { error } of client.images.import(source, { repo: image, tag, changes: [] }))
    expect(error).toBeUndefined();
  return (await client.images.inspect(`${image}:${tag}`)).Id;
}

function storedBytes(): number {
  const files = readdirSync(root, { recursive: true, withFileTypes: true });
  return files.reduce((sum, file) => {
    const found = statSync(join(file.parentPath, file.name), { throwIfNoEntry: false });
    return sum + (found?.isFile() === true ? found.size : 0);
  }, 0);
}

/** Sends the image until some of it is there, and has the registry stand still then. */
async function pushHalf(tag: string) {
  const before = storedBytes();
  const child = engine.spawn("wherry", ["push", `${image}:${tag}`]);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (part: Buffer) => {
      said += part.toString();
    });
  const ended = once(child, "close").then(([code]) => ({ code: code as number, said }));
  await until(() => {
    if (storedBytes() < before + halfBytes) return false;
    served.process.kill("SIGSTOP");
    return true;
  });
  expect(storedBytes()).toBeLessThan(before + layerBytes);
  return { ended };
}

async function pulled(tag: string): Promise<string> {
  const client = await engine.client();
  await client.images.remove(`${image}:${tag}`, { force: true });
  const { code, stderr } = await engine.cli("wherry", ["pull", `${image}:${tag}`]);
  expect([code, stderr]).toEqual([0, ""]);
  return (await client.images.inspect(`${image}:${tag}`)).Id;
}

test("a registry that is killed and comes back has the rest sent to it", async () => {
  const id = await makeImage("registry");
  const pushing = await pushHalf("registry");
  const { host } = served;
  await served.end("SIGKILL");
  const half = storedBytes();
  served = await serve("--addr", host);
  expect(await pushing.ended).toMatchObject({ code: 0 });
  // What was there was not sent again.
  expect(half).toBeGreaterThan(halfBytes);
  expect(storedBytes()).toBeLessThan(layerBytes + half);
  expect(await pulled("registry")).toBe(id);
}, 60_000);

test("an engine that is killed has all it had, nothing half made, and sends it when asked again", async () => {
  const id = await makeImage("engine");
  const kept = () =>
    ["blobs/sha256", "blobs/incoming", "layers/layers", "layers/incoming", "spool", "arrivals"].map((place) =>
      readdirSync(join(engine.directory, "data", place)).sort(),
    );
  const before = kept();
  const pushing = await pushHalf("engine");
  await engine.stop("SIGKILL");
  served.process.kill("SIGCONT");
  expect((await pushing.ended).code).not.toBe(0);
  await engine.start();
  expect(kept()).toEqual(before);
  expect(await engine.cli("wherry", ["push", "-q", `${image}:engine`])).toMatchObject({ code: 0 });
  expect(await pulled("engine")).toBe(id);
}, 60_000);
