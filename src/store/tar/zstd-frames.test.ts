import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { constants, zstdCompressSync } from "node:zlib";
import { decompress } from "./decompress.ts";
import { ZstdFrames } from "./zstd-frames.ts";

const skippable = Buffer.from("502a4d1804000000aaaaaaaa", "hex");
const streams: Record<string, Buffer> = {
  nothing: zstdCompressSync(Buffer.alloc(0)),
  "one byte over and over": zstdCompressSync(Buffer.alloc(300_000, "x")),
  noise: zstdCompressSync(randomBytes(400_000)),
  "with a checksum": zstdCompressSync(Buffer.from("some text".repeat(1000)), {
    params: { [constants.ZSTD_c_checksumFlag]: 1 },
  }),
  "two frames and what is to be skipped": Buffer.concat([
    skippable,
    zstdCompressSync(Buffer.from("one")),
    zstdCompressSync(randomBytes(1000)),
    skippable,
  ]),
};

for (const [name, bytes] of Object.entries(streams))
  test(`a stream is complete only at its end: ${name}`, () => {
    for (const size of [1, 7, 4096, bytes.length]) {
      const frames = new ZstdFrames();
      for (let at = 0; at < bytes.length; at += size) frames.push(bytes.subarray(at, at + size));
      expect(frames.complete).toBe(true);
    }
    const cuts = [1, 2, 4, 5, bytes.length >> 1, bytes.length - 1].filter(
      (cut) => cut < bytes.length && cut !== 12,
    );
    for (const cut of cuts) {
      const frames = new ZstdFrames();
      frames.push(bytes.subarray(0, cut));
      expect(frames.complete).toBe(false);
    }
  });

async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}

test("a stream that is cut off is damaged, wherever that is", async () => {
  const whole = zstdCompressSync(randomBytes(600_000));
  for (const length of [8, 500, 131_100, 300_000, whole.length - 1, whole.length]) {
    const { bytes } = await decompress(inParts(whole.subarray(0, length)));
    const read = async () => {
      let total = 0;
      for await (const part of bytes) total += part.length;
      return total;
    };
    if (length === whole.length) expect(await read()).toBe(600_000);
    else expect(read()).rejects.toThrow("the zstd data is damaged or cut off");
  }
});
