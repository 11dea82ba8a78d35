import { expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { hasFastGzip } from "#kernel/isal.ts";
import { gzipBlocks, sideBySide } from "./gzip-blocks.ts";

/** With the fast library, where it is, and without. */
const ways = [...(hasFastGzip() ? [gzipBlocks] : []), sideBySide];

async function packed(bytes: Buffer, step: number, pack = sideBySide): Promise<Buffer> {
  async function* source() {
    for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
  }
  const parts: Uint8Array[] = [];
  for await (const part of pack(source())) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

test("equal bytes give equal bytes, however they come, and come back", async () => {
  const bytes = Buffer.concat([randomBytes(1_500_000), Buffer.alloc(9_000_000, "wherry ")]);
  for (const way of ways) {
    const [one, other] = [await packed(bytes, 100_000, way), await packed(bytes, 3_333_333, way)];
    expect(one.equals(other)).toBe(true);
    expect(gunzipSync(one).equals(bytes)).toBe(true);
    expect(one.length).toBeLessThan(1_600_000);
  }
});

test("nothing is a gzip file too, and the format stays what it was", async () => {
  expect(gunzipSync(await packed(Buffer.alloc(0), 1)).length).toBe(0);
  // Registries know layers by this digest: another one would be sent again.
  const digest = createHash("sha256")
    .update(
      await packed(Buffer.from(Array.from({ length: 20_000 }, (_, n) => `line ${n * n}\n`).join("")), 6_000),
    )
    .digest("hex");
  expect(digest).toBe("4ddcae240432dc0452e757e7eddfffc742447e06470e9c521fc53fc02f4e6319");
});
