import { expect, test } from "bun:test";
import type { Digest } from "#spec/digest.ts";
import {
  type CachedLayer,
  cacheConfig,
  inlineField,
  inlineRecords,
  keyDigest,
  parseCacheConfig,
  parseInlineCache,
} from "./cache-config.ts";

const digest = (letter: string) => `sha256:${letter.repeat(64)}` as Digest;
const blobOf = (diffId: Digest) => ({
  mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
  digest: diffId.replace(/.$/, "f") as Digest,
  size: 7,
});
const layer = (letter: string) => ({ chainId: `chain ${letter}`, diffId: digest(letter) });
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

const steps = [
  { keys: ["one", "also one"], chain: [layer("a"), layer("b")], createdMs: 5000 },
  { keys: ["two"], chain: [layer("a"), layer("b"), layer("c")], createdMs: 6000 },
  { keys: ["nothing"], chain: [], createdMs: 7000 },
];

test("what is written is read again, layers once, each on the right one", () => {
  const { config, blobs } = cacheConfig(steps, blobOf);
  expect(blobs).toHaveLength(3);
  expect(config).toMatchObject({ layers: [{ parent: -1 }, { parent: 0 }, { parent: 1 }] });
  const read = parseCacheConfig(json(config), blobs);
  expect(read.size).toBe(3);
  expect(read.get(keyDigest("also one"))?.chain).toHaveLength(2);
  const two = read.get(keyDigest("two"));
  expect([two?.createdMs, two?.chain.map(({ diffId }) => diffId)]).toEqual([
    6000,
    [digest("a"), digest("b"), digest("c")],
  ]);
  expect(two?.chain[2]?.blob?.digest).toBe(blobOf(digest("c")).digest);
  expect(read.has(keyDigest("three"))).toBe(false);
});

test("a parent that Go leaves out is the first layer; records with inputs are BuildKit's", () => {
  const blobs = [digest("a"), digest("b")].map((each) => ({ ...blobOf(each), digest: each }));
  const layers = [
    { blob: digest("a"), parent: -1, annotations: { diffID: digest("a") } },
    { blob: digest("b"), annotations: { diffID: digest("b") } },
  ];
  const own = { digest: keyDigest("x"), layers: [{ layer: 1 }] };
  const theirs = { digest: keyDigest("y"), layers: [{ layer: 1 }], inputs: [[{ link: 0 }]] };
  const read = parseCacheConfig(json({ layers, records: [own, theirs, { digest: digest("0") }] }), blobs);
  expect([...read.keys()]).toEqual([keyDigest("x")]);
  expect(read.get(keyDigest("x"))?.chain.map(({ diffId }) => diffId)).toEqual([digest("a"), digest("b")]);
});

test("circles, layers there are not and blobs nobody lists lead to nothing", () => {
  const blobs = [{ ...blobOf(digest("a")), digest: digest("a") }];
  const annotations = { diffID: digest("a") };
  const layers = [
    { blob: digest("a"), parent: 0, annotations },
    { blob: digest("b"), parent: -1, annotations },
    { blob: digest("a"), parent: 99, annotations },
    { blob: digest("a"), parent: -1 },
  ];
  const records = [0, 1, 2, 3, 4, -5].map((at) => ({
    digest: keyDigest(String(at)),
    layers: [{ layer: at }],
  }));
  expect(parseCacheConfig(json({ layers, records }), blobs).size).toBe(0);
  expect(() => parseCacheConfig(json({ layers: "many" }), [])).toThrow(
    "the cache's config is wrong at layers",
  );
  expect(() => parseCacheConfig(json({ records: [{ digest: "sha256:0" }] }), [])).toThrow("records.0.digest");
  expect(() => parseCacheConfig(Buffer.from("{"), [])).toThrow();
});

test("an image carries its own", () => {
  const layers: CachedLayer[] = [digest("a"), digest("b")].map((diffId) => ({ diffId }));
  const field = inlineRecords([{ keys: ["one"], layer: 1, createdMs: 1000 }]);
  const read = parseInlineCache(json({ ...field, rootfs: {} }), layers);
  expect(read.get(keyDigest("one"))).toEqual({ chain: layers, createdMs: 1000 });
  expect(parseInlineCache(json({}), layers).size).toBe(0);
  expect(parseInlineCache(json(inlineRecords([{ keys: ["x"], layer: 2, createdMs: 0 }])), layers).size).toBe(
    0,
  );
  expect(() => parseInlineCache(json({ [inlineField]: "bm9uc2Vuc2U=" }), layers)).toThrow();
});
