import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { decompress } from "#store/tar/decompress.ts";
import { formOfType, type LayerForm, layerType, packLayer, parseForm } from "./layer-form.ts";

const tar = Buffer.from(Array.from({ length: 90_000 }, (_, n) => `line ${n * n}\n`).join(""));

async function* parts(step: number) {
  for (let at = 0; at < tar.length; at += step) yield tar.subarray(at, at + step);
}

async function packed(form: LayerForm, step: number): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const part of packLayer(parts(step), form)) all.push(Buffer.from(part));
  return Buffer.concat(all);
}

const sha = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("each form comes back as it was, and is the same whatever the parts it came in", async () => {
  const sizes: number[] = [];
  for (const form of [
    { compression: "uncompressed" },
    { compression: "gzip" },
    { compression: "gzip", level: 9 },
    { compression: "zstd" },
    { compression: "zstd", level: 9 },
  ] as const) {
    const bytes = await packed(form, 10_000);
    expect(sha(await packed(form, 333_333))).toBe(sha(bytes));
    const source = (async function* () {
      yield bytes;
    })();
    const back: Buffer[] = [];
    for await (const part of (await decompress(source)).bytes) back.push(Buffer.from(part));
    expect(sha(Buffer.concat(back))).toBe(sha(tar));
    sizes.push(bytes.length);
  }
  const [whole = 0, gzip = 0, best = 0, zstd = 0, hard = 0] = sizes;
  expect(whole).toBe(tar.length);
  expect([gzip < whole, best < gzip, zstd < whole, hard < zstd]).toEqual([true, true, true, true]);
});

test("words for forms, and what they mean", () => {
  expect(parseForm("zstd", "22")).toEqual({ compression: "zstd", level: 22 });
  expect(() => parseForm("zstd", "23")).toThrow("compression-level 23 is none of zstd: want 0 to 22");
  expect(() => parseForm("gzip", "best")).toThrow("compression-level best");
  expect(() => parseForm("estargz", undefined)).toThrow("unsupported compression type estargz");
  for (const compression of ["gzip", "zstd", "uncompressed"] as const)
    for (const words of ["oci", "docker"] as const)
      expect(formOfType(layerType({ compression }, words))).toEqual({ compression });
  expect(formOfType("application/json")).toBeUndefined();
});
