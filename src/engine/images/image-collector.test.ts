import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack } from "tar-stream";
import type { Digest } from "#spec/digest.ts";
import { Blobs } from "#store/blobs.ts";
import { Layers } from "#store/layers/layers.ts";
import { Records } from "#store/records.ts";
import { blobGraceMs, ImageCollector } from "./image-collector.ts";
import { ImageIndex } from "./image-index.ts";
import { Images } from "./images.ts";
import { KeptLayers } from "./kept-layers.ts";
import { Leases } from "./leases.ts";
import { Provenance } from "./provenance.ts";

let root: string;
let stack: AsyncDisposableStack;
let store: Awaited<ReturnType<typeof open>>;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "wherry-collector-"));
  stack = new AsyncDisposableStack();
  store = await open();
});
afterEach(async () => {
  await stack.disposeAsync();
  rmSync(root, { recursive: true });
});

async function open() {
  const records = stack.use(Records.open(join(root, "records.db")));
  const [blobs, layers] = [
    await Blobs.open(join(root, "blobs")),
    await Layers.open(join(root, "layers"), { records }),
  ];
  const [index, provenance, leases] = [new ImageIndex(records), new Provenance(records), new Leases()];
  const kept = new KeptLayers(records);
  const images = await Images.open({
    ...{ index, blobs, layers, provenance, leases, kept, emit: () => undefined },
    ...{ applyChanges: (config) => config, platform: { os: "linux", architecture: "amd64" } },
    ...{ containersOf: () => [], now: () => "2026-01-01T00:00:00Z" },
  });
  let swept = 0;
  const collector = stack.use(
    new ImageCollector({
      ...{ index, provenance, leases, kept, blobs, layers, images },
      registry: { sweep: async () => void swept++ },
      report: (fault) => {
        throw fault;
      },
    }),
  );
  return { blobs, layers, index, provenance, leases, images, collector, swept: () => swept };
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
const put = async (text: string) => (await store.blobs.put(once(text))).digest;
async function layer(name: string, parent?: Parameters<Layers["apply"]>[0]) {
  const tar = pack();
  tar.entry({ name }, name);
  tar.finalize();
  return await store.layers.apply(parent, tar as AsyncIterable<Uint8Array>);
}
const later = () => Date.now() + blobGraceMs + 1000;
const there = async (digest: Digest) => (await store.blobs.stat(digest)) !== undefined;

test("a blob goes when nothing needs it and it is old enough, and why one is kept can be told", async () => {
  const { images, index, provenance, leases, collector } = store;
  const [stray, manifest, all] = [await put("stray"), await put("manifest"), await put("index")];
  const config = {
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [] },
    history: [],
  };
  const id = await images.create({ config: config as Parameters<Images["create"]>[0]["config"] });
  index.name(id, "docker.io/library/app:1", { index: all, images: [id] });
  provenance.addManifest(id, { digest: manifest, mediaType: "m", sizeBytes: 8 });
  const reasons = async () =>
    Object.fromEntries((await collector.explain(later())).map((each) => [each.digest, each.reasons]));
  expect(await reasons()).toEqual({
    [id]: ["config of app:1"],
    [manifest]: ["manifest of app:1"],
    [all]: ["index of app:1"],
    [stray]: [],
  });
  expect((await collector.explain(Date.now())).find(({ digest }) => digest === stray)?.reasons).toEqual([
    "it came less than an hour ago",
  ]);
  await collector.sweep(Date.now());
  expect(await there(stray)).toBe(true);
  {
    using _ = leases.hold([stray]);
    await collector.sweep(later());
    expect([await there(stray), (await reasons())[stray]]).toEqual([true, ["a pull, push or load holds it"]]);
  }
  await collector.sweep(later());
  expect([await there(stray), await there(id), await there(manifest), await there(all)]).toEqual([
    ...[false, true, true, true],
  ]);
  expect(store.swept()).toBe(3);
});

test("a layer that a broken pull left goes at the second sweep, with those below it, unless it is held", async () => {
  const { collector, layers, leases } = store;
  const below = await layer("below");
  const top = await layer("top", below.chainId);
  const held = await layer("held");
  using _ = leases.hold([held.chainId]);
  await collector.sweep(later());
  expect(layers.list()).toHaveLength(3);
  await collector.sweep(later());
  expect([layers.get(below.chainId), layers.get(top.chainId)]).toEqual([undefined, undefined]);
  expect(layers.get(held.chainId)).toBeDefined();
});
