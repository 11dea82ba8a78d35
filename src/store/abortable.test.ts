import { expect, test } from "bun:test";
import { abortable } from "./abortable.ts";

async function* parts(count: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield new Uint8Array(1024).fill(index);
}

test("a part that was read is not held on to", async () => {
  const seen: WeakRef<Uint8Array>[] = [];
  let alive = 0;
  for await (const part of abortable(parts(200), new AbortController().signal)) {
    seen.push(new WeakRef(part));
    if (seen.length < 200) continue;
    await new Promise((resolve) => setTimeout(resolve, 1));
    Bun.gc(true);
    alive = seen.filter((each) => each.deref() !== undefined).length;
  }
  expect(alive).toBeLessThan(100);
});

test("a silent source ends with the signal, and is told", async () => {
  const abort = new AbortController();
  let returned = false;
  const silent: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => undefined),
      return: async () => {
        returned = true;
        return { done: true, value: undefined };
      },
    }),
  };
  setTimeout(() => abort.abort(new Error("called off")), 5);
  const read = async () => {
    for await (const _ of abortable(silent, abort.signal));
  };
  expect(read()).rejects.toThrow("called off");
  await read().catch(() => undefined);
  expect(returned).toBe(true);
});
