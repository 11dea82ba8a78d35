import { describe, expect, test } from "bun:test";
import type { Digest } from "./digest.ts";
import { mediaType } from "./image.ts";
import { chooseManifest, layersMax, parseManifest } from "./manifest.ts";
import { parsePlatform } from "./platform.ts";

const digest = `sha256:${"a".repeat(64)}` as Digest;
const config = { mediaType: mediaType.dockerConfig, digest, size: 2 };
const layer = { mediaType: mediaType.dockerLayerGzip, digest, size: 3 };
const image = { schemaVersion: 2, mediaType: mediaType.dockerManifest, config, layers: [layer] };
const entry = (platform: string) => ({
  ...{ mediaType: mediaType.ociManifest, digest, size: 2 },
  platform: parsePlatform(platform),
});
const index = { schemaVersion: 2, mediaType: mediaType.ociIndex, manifests: [entry("linux/amd64")] };

const bytes = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const parse = (value: unknown, type?: string) => parseManifest(bytes(value), type);

describe("a manifest", () => {
  test("in either family, with or without its own word", () => {
    expect(parse(image)).toMatchObject({
      kind: "manifest",
      mediaType: mediaType.dockerManifest,
      layers: [layer],
    });
    expect(parse(index)).toMatchObject({ kind: "index", mediaType: mediaType.ociIndex });
    const { mediaType: _, ...silent } = image;
    expect(parse(silent).mediaType).toBe(mediaType.ociManifest);
    expect(parse(silent, `${mediaType.dockerManifest}; charset=utf-8`).mediaType).toBe(
      mediaType.dockerManifest,
    );
    expect(parse({ ...image, annotations: null }, "text/plain").kind).toBe("manifest");
  });

  test.each([
    [
      "both an image and an index (CVE-2021-41190)",
      { ...image, manifests: [] },
      "an image and an index at once",
    ],
    [
      "an index that says it is an image",
      { ...index, mediaType: mediaType.ociManifest },
      "is an index, but says",
    ],
    [
      "an image that says it is an index",
      { ...image, mediaType: mediaType.ociIndex },
      "is an image's, but says",
    ],
    ["neither", { schemaVersion: 2 }, "neither an image's nor an index"],
    ["of 2014", { schemaVersion: 1, fsLayers: [] }, "schema version 1"],
    ["a key twice", '{"schemaVersion":2,"config":1,"config":2}', 'the key "config" twice'],
    ["a key twice, written differently", '{"a":{"x":1,"\\u0078":2}}', 'the key "x" twice'],
    ["too deep", `${"[".repeat(70)}${"]".repeat(70)}`, "more than 64 levels"],
    ["no JSON", "<html>", "no JSON"],
    ["too large", `"${"x".repeat(4 << 20)}"`, "larger than 4194304 bytes"],
    ["a list", "[]", "form is wrong"],
    ["a wrong digest", { ...image, config: { ...config, digest: "sha256:x" } }, "config.digest"],
    ["a negative size", { ...image, layers: [{ ...layer, size: -1 }] }, "layers.0.size"],
    ["ten thousand layers", { ...image, layers: Array(10_000).fill(layer) }, `more than ${layersMax}`],
    ["a foreign URL", { ...image, layers: [{ ...layer, urls: ["http://evil"] }] }, "never done"],
  ])("that is %s is refused", (_, value, message) => {
    expect(() => parse(value)).toThrow(message);
  });

  test("handed out as something else is refused (CVE-2021-41190)", () => {
    expect(() => parse(image, mediaType.ociIndex)).toThrow("was handed out as");
    const { mediaType: _, ...silent } = image;
    expect(() => parse(silent, mediaType.ociIndex)).toThrow("is an image's, but says");
  });
});

describe("of an index", () => {
  const all = ["linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "windows/amd64"].map(entry);
  const choose = (platform: string, manifests: object[] = all) => {
    const document = parse({ ...index, manifests });
    if (document.kind !== "index") throw new Error("no index");
    const chosen = chooseManifest(document, parsePlatform(platform));
    return chosen === undefined
      ? undefined
      : `${chosen.platform?.architecture}/${chosen.platform?.variant ?? ""}`;
  };

  test.each([
    ["linux/amd64", "amd64/"],
    ["linux/arm/v7", "arm/v7"],
    ["linux/arm/v8", "arm/v7"],
    ["linux/arm/v6", "arm/v6"],
    ["linux/arm/v5", undefined],
    ["linux/arm64", "arm64/v8"],
    ["linux/s390x", undefined],
  ])("%s is given %p", (platform, expected) => {
    expect(choose(platform)).toBe(expected);
  });

  test("an attestation is no image", () => {
    const attestation = { ...entry("unknown/unknown"), platform: { os: "unknown", architecture: "unknown" } };
    expect(choose("linux/amd64", [attestation])).toBeUndefined();
  });
});
