/** Made-up references and manifests: refused or understood, and what was understood says the same when it is read again. */
import { expect, test } from "bun:test";
import { isDigest } from "./digest.ts";
import { fuzz, mutated } from "./fuzz-fixture.ts";
import { mediaType } from "./image.ts";
import { layersMax, parseManifest } from "./manifest.ts";
import { familiarReference, formatReference, parseReference } from "./reference.ts";

const hex = "0123456789abcdef".repeat(4);
const words = [
  ..."abzAZ019/:@._-[] \n\0é",
  ...["docker.io", "index.docker.io", "library/", "localhost", "registry:5000", "[::1]:80", "__", "--"],
  ...["latest", "sha256:", "sha512:", `sha256:${hex}`, `sha512:${hex}${hex}`, hex, "a".repeat(127)],
];

test("references", () => {
  const { rounds, refused } = fuzz({
    sample: (dice) => dice.text(words, 12),
    check: (text) => {
      const reference = parseReference(text);
      expect(parseReference(formatReference(reference))).toEqual(reference);
      expect(parseReference(familiarReference(reference))).toEqual(reference);
    },
  });
  // Both happen, or the samples are of no use.
  expect(refused).toBeGreaterThan(0);
  expect(rounds - refused).toBeGreaterThan(0);
});

const layer = { mediaType: mediaType.ociLayer, digest: `sha256:${hex}`, size: 12 };
const documents = [
  {
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    config: { ...layer, mediaType: mediaType.ociConfig },
    layers: [layer, layer],
    annotations: { a: "b" },
  },
  {
    schemaVersion: 2,
    mediaType: mediaType.ociIndex,
    manifests: [
      { ...layer, mediaType: mediaType.ociManifest, platform: { os: "linux", architecture: "amd64" } },
    ],
  },
].map((document) => Buffer.from(JSON.stringify(document)));
const manifestWords = [
  ...['"', "{", "}", "[", "]", ",", ":", "null", "-1", "1e400", "0.5", "true", "\\u0000", "\ud800"],
  ...['"schemaVersion":1,', '"layers":[],', '"manifests":[],', '"config":{},', '"__proto__":{},', "sha256:"],
  ...Object.values(mediaType),
];

test("manifests", () => {
  const { rounds, refused } = fuzz({
    sample: (dice) => mutated(dice, dice.pick(documents), manifestWords),
    check: (bytes) => {
      const document = parseManifest(bytes);
      const descriptors =
        document.kind === "index" ? document.manifests : [document.config, ...document.layers];
      expect(descriptors.length).toBeLessThanOrEqual(document.kind === "index" ? 10_000 : layersMax + 1);
      for (const { digest, size } of descriptors) {
        expect(isDigest(digest)).toBe(true);
        expect(Number.isSafeInteger(size) && size >= 0).toBe(true);
      }
    },
  });
  expect(refused).toBeGreaterThan(0);
  expect(rounds - refused).toBeGreaterThan(0);
});
