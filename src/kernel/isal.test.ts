import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { Fault } from "#spec/fault.ts";
import { GzipPacker, hasFastGzip, Inflation } from "./isal.ts";

/** `npm run setup` installs it. */
const fast = test.skipIf(!hasFastGzip());
const why = hasFastGzip() ? "" : " (libisal2 is not installed)";

function inflate(packed: Uint8Array, step: number): { plain: Buffer; complete: boolean } {
  const inflation = new Inflation();
  const parts: Buffer[] = [];
  for (let at = 0; at < packed.length; at += step)
    for (const part of inflation.push(packed.subarray(at, at + step))) parts.push(Buffer.from(part));
  return { plain: Buffer.concat(parts), complete: inflation.complete };
}

const member = (bytes: Buffer) => Buffer.from(new GzipPacker(bytes.length).pack(bytes));
const text = Buffer.concat([Buffer.alloc(700_000, "a line of text\n"), randomBytes(300_000)]);

fast(`what zlib packs comes back, in parts of any size${why}`, () => {
  const packed = gzipSync(text, { level: 6 });
  for (const step of [1 << 20, 4099, 100])
    expect(inflate(packed, step)).toEqual({ plain: text, complete: true });
});

fast(`members join, empty ones and zeros behind them too${why}`, () => {
  const some = text.subarray(680_000, 720_000);
  const parts = [some.subarray(0, 5000), some.subarray(5000, 5001), Buffer.alloc(0), some.subarray(5001)];
  const packed = Buffer.concat([...parts.map(member), Buffer.alloc(700)]);
  for (const step of [1, 3, 8, 17, 1000, packed.length])
    expect(inflate(packed, step)).toEqual({ plain: some, complete: true });
  expect(gunzipSync(member(text)).equals(text)).toBe(true);
});

fast(`a bomb comes in small parts${why}`, () => {
  const inflation = new Inflation();
  let [total, largest] = [0, 0];
  for (const part of inflation.push(gzipSync(Buffer.alloc(64 << 20)))) {
    total += part.length;
    largest = Math.max(largest, part.length);
  }
  expect(total).toBe(64 << 20);
  expect(largest).toBeLessThanOrEqual(256 << 10);
});

fast(`damage and a cut are seen${why}`, () => {
  const packed = gzipSync(text);
  expect(inflate(packed.subarray(0, -3), 4096).complete).toBe(false);
  for (const at of [0, 1, 2, 100, packed.length >> 1, packed.length - 6, packed.length - 2]) {
    const damaged = Buffer.from(packed);
    damaged[at] = (damaged[at] ?? 0) ^ 0xff;
    let outcome: unknown;
    try {
      outcome = inflate(damaged, 4096).complete;
    } catch (thrown) {
      outcome = thrown;
    }
    expect(outcome === false || outcome instanceof Fault).toBe(true);
  }
  expect(() => inflate(Buffer.concat([packed, Buffer.from("more")]), 1 << 20)).toThrow("damaged");
});
