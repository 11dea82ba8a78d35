import { expect, test } from "bun:test";
import { parseContainerId } from "#spec/container.ts";
import type { UsageSample } from "#spec/usage.ts";
import { UsageSampler } from "./usage-sampler.ts";

const container = { id: parseContainerId("a".repeat(64)), name: "c" };

function sample(n: number): UsageSample {
  return {
    readAt: String(n),
    cpu: {
      total: n,
      kernel: 0,
      user: 0,
      system: 0,
      online: 1,
      throttling: { periods: 0, throttled: 0, time: 0 },
    },
    memory: { usage: 0, limit: 0, stats: {} },
    processes: { current: 1 },
    io: { serviceBytes: [] },
    networks: {},
  };
}

test("viewers share each reading, and nobody looking costs nothing", async () => {
  let reads = 0;
  const sampler = new UsageSampler(async () => ({ container, sample: sample(++reads) }));
  const first = sampler.join();
  const second = sampler.join();
  expect((await first.next())?.sample?.readAt).toBe("1");
  expect((await second.next())?.previous).toBeUndefined();
  const [one, two] = await Promise.all([first.next(), second.next()]);
  expect(one).toMatchObject({ previous: { readAt: "1" }, sample: { readAt: "2" } });
  expect(two).toEqual(one as NonNullable<typeof one>);
  first[Symbol.dispose]();
  expect(sampler.idle).toBe(false);
  second[Symbol.dispose]();
  expect(sampler.idle).toBe(true);
  // Who comes afterwards begins afresh: no older reading is given out as the one of a second ago.
  const third = sampler.join();
  expect(await third.next()).toMatchObject({ previous: undefined, sample: { readAt: "3" } });
  third[Symbol.dispose]();
  expect(reads).toBe(3);
});

test("a slow viewer gets the newest and skips the rest", async () => {
  let reads = 0;
  const sampler = new UsageSampler(async () => ({ container, sample: sample(++reads) }));
  const quick = sampler.join();
  using slow = sampler.join();
  for (let at = 0; at < 3; at++) await quick.next();
  quick[Symbol.dispose]();
  expect((await slow.next())?.sample?.readAt).toBe("3");
});

test("the end of the container is the end of the view, and a failure is told", async () => {
  using ended = new UsageSampler(async () => undefined).join();
  expect(await ended.next()).toBeUndefined();
  using failed = new UsageSampler(() => Promise.reject(new Error("no disk"))).join();
  expect(failed.next()).rejects.toThrow("no disk");
});
