/** What every depot keeps (depot.ts), shown against a driver: for tests. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import type { Depot } from "./depot.ts";

export interface DepotUnderTest {
  /** Another one of the same place, as another process has it. */
  open(): Promise<Depot>;
  /** Everything of it ends. */
  close(): Promise<void>;
}

const never = new AbortController().signal;
const soon = () => Date.now() + 60_000;

async function text(depot: Depot, key: string): Promise<string | undefined> {
  const bytes = await depot.read(key);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

async function bodyOf(depot: Depot, key: string, range?: { start: number; end: number }): Promise<Buffer> {
  const body = await depot.body(key, range);
  if (body === undefined) throw new Error(`${key} is not there`);
  return Buffer.from(await new Response(body).arrayBuffer());
}

async function grown(depot: Depot, key: string, ...parts: readonly Uint8Array[]): Promise<void> {
  await using growing = await depot.grow(key, { create: true });
  for (const part of parts) await growing?.append(part);
}

interface Both {
  one: Depot;
  other: Depot;
}

export function depotContract(name: string, make: () => Promise<DepotUnderTest>): void {
  describe(`the depot ${name}`, () => {
    let place: DepotUnderTest;
    const both = {} as Both;
    beforeAll(async () => {
      place = await make();
      both.one = await place.open();
      both.other = await place.open();
    });
    afterAll(async () => await place.close());
    smallThings(both);
    listsAndKeys(both);
    growth(both);
    severalAtOnce(both);
  });
}

function smallThings(both: Both): void {
  test("keeps small things, for all who have it", async () => {
    const { one, other } = both;
    expect(await one.stat("small/a")).toBeUndefined();
    expect(await one.read("small/a")).toBeUndefined();
    expect(await one.body("small/a")).toBeUndefined();
    const beforeMs = Date.now() - 2000;
    await one.write("small/a", "first");
    await other.write("small/a", Buffer.from("second"));
    await one.write("small/empty", "");
    expect(await text(other, "small/a")).toBe("second");
    expect(await text(one, "small/a")).toBe("second");
    expect(await text(one, "small/empty")).toBe("");
    const found = await one.stat("small/a");
    expect(found?.sizeBytes).toBe(6);
    expect(found?.touchedMs).toBeGreaterThan(beforeMs);
    expect((await bodyOf(one, "small/a")).toString()).toBe("second");
    expect((await bodyOf(one, "small/a", { start: 1, end: 3 })).toString()).toBe("ec");
    const large = randomBytes(300_000);
    await one.write("small/large", large);
    expect(Buffer.from((await one.read("small/large")) ?? [])).toEqual(large);
    expect((await one.stat("small/large"))?.sizeBytes).toBe(large.length);
  });

  test("touches, moves and removes", async () => {
    const { one, other } = both;
    expect(await one.touch("change/a")).toBe(false);
    expect(await one.move("change/a", "change/b")).toBe(false);
    expect(await one.remove("change/a")).toBe(false);
    await one.write("change/a", "x");
    await one.write("change/b", "y");
    const before = await one.stat("change/a");
    await Bun.sleep(5);
    expect(await one.touch("change/a")).toBe(true);
    expect((await other.stat("change/a"))?.touchedMs).toBeGreaterThan(before?.touchedMs ?? 0);
    expect(await one.move("change/a", "change/b")).toBe(true);
    expect([await text(other, "change/a"), await text(other, "change/b")]).toEqual([undefined, "x"]);
    expect(await one.move("change/b", "change/deep/er/c")).toBe(true);
    expect(await one.remove("change/deep/er/c")).toBe(true);
    expect(await one.remove("change/deep/er/c")).toBe(false);
  });
}

function listsAndKeys(both: Both): void {
  test("lists names in the order of their bytes, a slash behind those with more beneath", async () => {
    const { one, other } = both;
    expect(await one.list("list")).toEqual([]);
    for (const key of ["b", "a", "B", "a-b/c", "a.b", "_z/x/y", "10", "9"])
      await one.write(`list/${key}`, "");
    expect(await other.list("list")).toEqual(["10", "9", "B", "_z/", "a", "a-b/", "a.b", "b"]);
    expect(await other.list("list/_z")).toEqual(["x/"]);
    expect(await other.list("list/a")).toEqual([]);
  });

  test("lists thousands", async () => {
    const { one } = both;
    const names = Array.from({ length: 1100 }, (_, at) => `n${String(at).padStart(5, "0")}`);
    for (let at = 0; at < names.length; at += 50)
      await Promise.all(names.slice(at, at + 50).map(async (name) => await one.write(`many/${name}`, "")));
    expect(await one.list("many")).toEqual(names);
  }, 30_000);

  test.each(["a//b", "/a", "a/", "a/../b", "./a", ""])("refuses the key %p", async (key) => {
    const { one } = both;
    expect(one.write(key, "x")).rejects.toThrow("no key");
    expect(one.read(key)).rejects.toThrow("no key");
  });
}

function growth(both: Both): void {
  test("lets objects grow, piece by piece and by whoever comes next", async () => {
    const { one, other } = both;
    expect(await one.grow("grow/a")).toBeUndefined();
    await grown(one, "grow/a", Buffer.from("012"), Buffer.from("34"));
    expect((await other.stat("grow/a"))?.sizeBytes).toBe(5);
    {
      await using growing = await other.grow("grow/a");
      expect(growing?.sizeBytes).toBe(5);
      await growing?.append(Buffer.from("56"));
      expect(Buffer.from((await growing?.read(1, 6)) ?? []).toString()).toBe("12345");
      await growing?.keep("grow/kept");
      expect(Buffer.from((await growing?.read(0, 7)) ?? []).toString()).toBe("0123456");
    }
    expect(await one.stat("grow/a")).toBeUndefined();
    expect((await one.stat("grow/kept"))?.sizeBytes).toBe(7);
    expect((await bodyOf(one, "grow/kept")).toString()).toBe("0123456");
    expect((await bodyOf(one, "grow/kept", { start: 4, end: 6 })).toString()).toBe("45");
    expect(await one.touch("grow/kept")).toBe(true);
    expect(await one.move("grow/kept", "grow/moved")).toBe(true);
    expect(await text(other, "grow/moved")).toBe("0123456");
  });

  test("keeps large ones byte for byte, in any range", async () => {
    const { one, other } = both;
    const bytes = randomBytes((19 << 20) + 7);
    const parts = [bytes.subarray(0, 5), bytes.subarray(5, 9 << 20), bytes.subarray(9 << 20)];
    await grown(one, "large/a", ...parts.slice(0, 2));
    {
      await using growing = await other.grow("large/a");
      await growing?.append(parts[2] ?? Buffer.alloc(0));
      for (const [start, end] of [
        [0, 9],
        [(8 << 20) - 3, (8 << 20) + 3],
        [bytes.length - 4, bytes.length],
      ] as const)
        expect(Buffer.from((await growing?.read(start, end)) ?? [])).toEqual(bytes.subarray(start, end));
      await growing?.keep("large/kept");
    }
    expect((await bodyOf(one, "large/kept")).equals(bytes)).toBe(true);
    const range = { start: (2 << 20) - 9, end: (17 << 20) + 1 };
    expect((await bodyOf(one, "large/kept", range)).equals(bytes.subarray(range.start, range.end))).toBe(
      true,
    );
  }, 30_000);

  test("grows one at a time, tells states apart, and ends what is given up", async () => {
    const { one, other } = both;
    {
      await using growing = await one.grow("alone/a", { create: true });
      expect(await one.grow("alone/a")).toBeUndefined();
      const marks = [growing?.mark];
      await growing?.append(Buffer.from("x"));
      marks.push(growing?.mark);
      await growing?.append(Buffer.from("y"));
      marks.push(growing?.mark);
      expect(new Set(marks).size).toBe(3);
    }
    let mark: string | undefined;
    {
      await using growing = await one.grow("alone/a");
      mark = growing?.mark;
    }
    {
      await using growing = await other.grow("alone/a");
      expect(growing?.mark).toBe(mark ?? "none");
      await growing?.append(Buffer.from("z"));
      await growing?.discard();
    }
    expect(await one.stat("alone/a")).toBeUndefined();
    expect(await one.grow("alone/a")).toBeUndefined();
  });
}

function severalAtOnce(both: Both): void {
  test("never mixes what two write to one object", async () => {
    const { one, other } = both;
    await grown(one, "mixed/a", Buffer.from("start,"));
    const write = async (depot: Depot, letter: string): Promise<boolean> => {
      try {
        await using growing = await depot.grow("mixed/a");
        if (growing === undefined) return false;
        for (let count = 0; count < 3; count++) await growing.append(Buffer.alloc(3 << 20, letter));
        await growing.keep(`mixed/${letter}`);
        return true;
      } catch {
        return false;
      }
    };
    const kept = await Promise.all([write(one, "A"), write(other, "B")]);
    expect(kept).toContain(true);
    for (const [at, letter] of ["A", "B"].entries())
      if (kept[at] === true)
        expect((await text(one, `mixed/${letter}`)) === `start,${letter.repeat(9 << 20)}`).toBe(true);
  }, 30_000);

  test("sends all of what is removed while it is sent", async () => {
    const { one, other } = both;
    const bytes = randomBytes(12 << 20);
    await grown(one, "gone/a", bytes);
    const body = await one.body("gone/a");
    const reader = new Response(body).body?.getReader();
    const parts = [(await reader?.read())?.value ?? new Uint8Array()];
    await other.remove("gone/a");
    for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read())
      parts.push(part.value);
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  }, 30_000);

  test("sweeps what nothing speaks of, and nothing else", async () => {
    const { one, other } = both;
    await grown(one, "repositories/r/_uploads/u", randomBytes(9 << 20));
    for (const key of ["blobs/kept", "trash/kept", "blobs/removed"]) {
      await using growing = await one.grow("repositories/r/_uploads/v", { create: true });
      await growing?.append(randomBytes(100));
      await growing?.keep(key);
    }
    await one.remove("blobs/removed");
    await one.sweep(soon(), never);
    expect(await one.sweep(soon(), never)).toBe(0);
    expect((await bodyOf(one, "blobs/kept")).length).toBe(100);
    expect((await bodyOf(one, "trash/kept")).length).toBe(100);
    await using growing = await other.grow("repositories/r/_uploads/u");
    expect((await growing?.read(0, 9 << 20))?.length).toBe(9 << 20);
  }, 30_000);
}
