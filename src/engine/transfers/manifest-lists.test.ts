import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { RegistryPart, RegistrySource, RegistryTarget } from "#engine/parts.ts";
import { type Digest, parseDigest } from "#spec/digest.ts";
import { mediaType } from "#spec/image.ts";
import { ManifestLists } from "./manifest-lists.ts";

const digestOf = (bytes: Uint8Array): Digest =>
  parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value));
const described = (bytes: Uint8Array, type: string) => ({
  mediaType: type,
  digest: digestOf(bytes),
  size: bytes.length,
});

/** A registry of one manifest with one layer; what is written to it is told in order. */
function registry(o: { readonly mounts: boolean; readonly has?: readonly Digest[] }) {
  const [config, layer] = [bytesOf({ config: 1 }), Buffer.from("layer")];
  const blobs = new Map([config, layer].map((bytes) => [digestOf(bytes), bytes]));
  const manifest = bytesOf({
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    config: described(config, mediaType.ociConfig),
    layers: [described(layer, mediaType.ociLayer)],
  });
  const told: string[] = [];
  const source: RegistrySource = {
    manifest: async () => ({
      bytes: manifest,
      digest: digestOf(manifest),
      contentType: mediaType.ociManifest,
    }),
    digestOf: async () => undefined,
    tags: async () => [],
    fetch: async ({ digest }) => ({
      read: async function* () {
        yield blobs.get(digest) ?? Buffer.alloc(0);
      },
      spend: () => void told.push("spent"),
      [Symbol.asyncDispose]: async () => void told.push("disposed"),
    }),
  };
  const target: RegistryTarget = {
    hasBlob: async (digest) => (o.has?.includes(digest) === true ? 1 : undefined),
    mount: async (digest, from) => {
      told.push(`mount ${digest.slice(7, 11)} from ${from}`);
      return o.mounts;
    },
    upload: async (open, { signal }) => {
      const parts: Uint8Array[] = [];
      for await (const part of open(signal)) parts.push(part);
      const bytes = Buffer.concat(parts);
      told.push(`upload ${digestOf(bytes).slice(7, 11)}`);
      return { digest: digestOf(bytes), sizeBytes: bytes.length };
    },
    putManifest: async (reference, { bytes }) =>
      void told.push(`put ${reference.slice(0, 11)} ${bytes.length}`),
  };
  const part: Pick<RegistryPart, "source" | "target"> = { source: () => source, target: () => target };
  const entry = {
    ...described(manifest, mediaType.ociManifest),
    platform: { os: "linux", architecture: "arm" },
  };
  const text = JSON.stringify({ schemaVersion: 2, mediaType: mediaType.dockerList, manifests: [entry] });
  const list = { text, manifests: [{ name: "here.example/one:1", digest: entry.digest }] };
  return { lists: new ManifestLists(part), list, told, manifest, config, layer };
}

const signal = new AbortController().signal;
const short = (bytes: Uint8Array) => digestOf(bytes).slice(7, 11);

test("blobs are taken over where the registry lets them, and the list comes last", async () => {
  const { lists, list, told, manifest, config, layer } = registry({ mounts: true });
  await lists.push("here.example/both:2", list, { signal });
  expect(told).toEqual([
    `mount ${short(config)} from one`,
    `mount ${short(layer)} from one`,
    `put ${digestOf(manifest).slice(0, 11)} ${manifest.length}`,
    `put 2 ${list.text.length}`,
  ]);
});

test("they go through the engine where it does not, but for those that are there", async () => {
  const layerDigest = digestOf(Buffer.from("layer"));
  const { lists, list, told, config } = registry({ mounts: false, has: [layerDigest] });
  await lists.push("here.example/both", list, { signal });
  expect(told.slice(0, 4)).toEqual([
    `mount ${short(config)} from one`,
    `upload ${short(config)}`,
    "spent",
    "disposed",
  ]);
  expect(told.at(-1)).toBe(`put latest ${list.text.length}`);
});

test("of its own repository only the names are new", async () => {
  const { lists, list, told } = registry({ mounts: true });
  await lists.push("here.example/one:both", list, { signal });
  expect(told.map((each) => each.split(" ")[0])).toEqual(["put", "put"]);
});

test("what cannot be pushed is refused before anything is written", async () => {
  const { lists, list, told, manifest } = registry({ mounts: true });
  const refused = async (name: string, given: typeof list) =>
    await lists.push(name, given, { signal }).then(
      () => "pushed",
      (thrown: Error) => thrown.message,
    );
  expect(await refused("other.example/x", list)).toBe(
    "cannot use source images from a different registry than the target image: here.example != other.example",
  );
  expect(await refused("here.example/x", { ...list, manifests: [] })).toContain("nobody says where sha256:");
  expect(await refused("here.example/x", { ...list, text: manifest.toString() })).toContain("not a list");
  expect(await refused(`here.example/x@${digestOf(manifest)}`, list)).toBe("cannot push a digest reference");
  expect(told).toEqual([]);
});
