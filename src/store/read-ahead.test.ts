import { expect, test } from "bun:test";
import { ReadAhead } from "./read-ahead.ts";

/** Parts of ten bytes; counts how many were taken, and whether it was closed. */
function source(count: number, failure?: Error) {
  const seen = { taken: 0, closed: false };
  async function* parts(): AsyncGenerator<Uint8Array> {
    try {
      for (; seen.taken < count; ) {
        seen.taken++;
        yield Buffer.alloc(10, seen.taken);
      }
      if (failure !== undefined) throw failure;
    } finally {
      seen.closed = true;
    }
  }
  return { seen, parts: parts() };
}

async function until(holds: () => boolean): Promise<void> {
  for (let round = 0; !holds(); round++) {
    if (round > 1000) throw new Error("it never came to that");
    await new Promise(setImmediate);
  }
}

test("reads up to its bound before anybody asks, then as fast as parts are taken", async () => {
  const { seen, parts } = source(100);
  const ahead = new ReadAhead(parts, 50);
  await until(() => seen.taken === 5);
  for (let round = 0; round < 20; round++) await new Promise(setImmediate);
  expect(seen.taken).toBe(5);
  const got: number[] = [];
  for await (const part of ahead) got.push(part[0] ?? 0);
  expect(got).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  expect(seen.closed).toBe(true);
});

test("a failure comes after what came before it", async () => {
  const ahead = new ReadAhead(source(3, new Error("broken")).parts, 1000);
  const got: Uint8Array[] = [];
  const reading = (async () => {
    for await (const part of ahead) got.push(part);
  })();
  await expect(reading).rejects.toThrow("broken");
  expect(got).toHaveLength(3);
});

test("left early or never read, it closes its source", async () => {
  for (const read of [true, false]) {
    const { seen, parts } = source(1000);
    const ahead = new ReadAhead(parts, 30);
    if (read) for await (const _ of ahead) break;
    await ahead[Symbol.asyncDispose]();
    expect(seen.closed).toBe(true);
    expect(seen.taken).toBeLessThan(10);
  }
});
