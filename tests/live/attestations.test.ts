/** What buildx says about an image, in the same index: pulled with it, kept with it, pushed with it byte for byte. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { inNamespace } from "#kernel/network/netns.ts";
import { digestOf, ScriptedRegistry } from "#registry/scripted-registry.ts";
import { mediaType } from "#spec/image.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let registry: ScriptedRegistry;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  registry = await ScriptedRegistry.start({ within: (open) => inNamespace(engine.netns, open) });
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value, undefined, 2));
const blobs = (): string[] => readdirSync(join(engine.directory, "data/blobs/sha256")).sort();

async function wherry(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.cli("wherry", args);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

/** A blob in the registry, and what a manifest says of it. */
function blob(type: string, bytes: Buffer): object {
  return { mediaType: type, digest: registry.addBlob(bytes), size: bytes.length };
}

/** As `buildx build --provenance --sbom --push` leaves it. @returns The index. */
async function serve(name: string): Promise<{ index: Buffer; attestation: Buffer; statement: Buffer }> {
  const tar = pack();
  tar.entry({ name: "file" }, name);
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  const layer = Buffer.concat(parts);
  const rootfs = { type: "layers", diff_ids: [digestOf(layer)] };
  const type = mediaType.ociManifest;
  const image = json({
    schemaVersion: 2,
    mediaType: type,
    config: blob(mediaType.ociConfig, json({ architecture: "amd64", os: "linux", rootfs })),
    layers: [blob(mediaType.ociLayerGzip, gzipSync(layer))],
  });
  const statement = json({ predicateType: "https://slsa.dev/provenance/v1", subject: name });
  const attestation = json({
    schemaVersion: 2,
    mediaType: type,
    config: blob(mediaType.ociConfig, json({ architecture: "unknown", os: "unknown", rootfs: {} })),
    layers: [blob("application/vnd.in-toto+json", statement)],
  });
  const index = json({
    schemaVersion: 2,
    mediaType: mediaType.ociIndex,
    manifests: [
      {
        ...{ mediaType: type, digest: digestOf(image), size: image.length },
        platform: { architecture: "amd64", os: "linux" },
      },
      {
        ...{ mediaType: type, digest: digestOf(attestation), size: attestation.length },
        annotations: {
          "vnd.docker.reference.digest": digestOf(image),
          "vnd.docker.reference.type": "attestation-manifest",
        },
        platform: { architecture: "unknown", os: "unknown" },
      },
    ],
  });
  registry.addManifest(name, "image", image, type);
  registry.addManifest(name, "attestation", attestation, type);
  registry.addManifest(name, "1", index, mediaType.ociIndex);
  return { index, attestation, statement };
}

test("they go back as they came", async () => {
  const { index, attestation, statement } = await serve("attested");
  const [from, to] = [`${registry.host}/attested:1`, `${registry.host}/elsewhere:2`];
  const before = blobs();
  await wherry("pull", from);
  await wherry("tag", from, to);
  const pushed = await wherry("push", to);
  expect(pushed).toContain(`2: digest: ${digestOf(index)} size: ${index.length}`);
  expect(registry.manifests.get("elsewhere:2")).toEqual({ bytes: index, type: mediaType.ociIndex });
  expect(registry.manifests.get(`elsewhere:${digestOf(attestation)}`)?.bytes).toEqual(attestation);
  // What is kept, and why; gone with the image.
  const kept = await (await engine.client()).images.blobs();
  const why = kept.find(({ Digest }) => Digest === digestOf(statement));
  expect(why?.Reasons).toEqual([expect.stringContaining("attestation of")]);
  await wherry("rmi", from, to);
  expect(blobs().filter((each) => digestOf(index) !== `sha256:${each}`)).toEqual(before);
}, 30_000);

test("an image whose attestation is not there any more is pulled without it", async () => {
  const { attestation, index } = await serve("bare");
  registry.manifests.delete(`bare:${digestOf(attestation)}`);
  const image = `${registry.host}/bare:1`;
  await wherry("pull", image);
  const target = `${registry.host}/bare:2`;
  await wherry("tag", image, target);
  expect(await wherry("push", target)).not.toContain(digestOf(index));
  expect(registry.manifests.get("bare:2")?.type).toBe(mediaType.ociManifest);
  await wherry("rmi", image, target);
}, 30_000);
