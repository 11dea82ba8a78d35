import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Records } from "#store/records.ts";
import { type CacheMountRequest, CacheMounts } from "./cache-mounts.ts";

let root: string;
let records: Records;
const { signal } = new AbortController();
const wanted: CacheMountRequest = { name: "/c", sharing: "shared", mode: 0o750, uid: 1, gid: 2, signal };

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "wherry-cache-mounts-"));
  records = Records.open(join(root, "records.db"));
});
afterEach(() => {
  records[Symbol.dispose]();
  rmSync(root, { recursive: true });
});

const open = async () => await CacheMounts.open(join(root, "mounts"), records, () => 1);

test("who comes second waits until a directory is filled, and all see the same", async () => {
  const mounts = await open();
  const filled = Promise.withResolvers<void>();
  const seed = async (directory: string) => {
    await filled.promise;
    writeFileSync(join(directory, "seed"), "");
  };
  const both = [mounts.acquire({ ...wanted, seed }), mounts.acquire({ ...wanted, seed })];
  filled.resolve();
  const [one, two] = await Promise.all(both);
  expect(one?.directory).toBe(two?.directory ?? "");
  expect(existsSync(join(one?.directory ?? "", "seed"))).toBe(true);
  const { mode, uid, gid } = statSync(one?.directory ?? "");
  expect([mode & 0o7777, uid, gid]).toEqual([0o750, 1, 2]);
});

test("one that could not be filled is not there, and is tried again", async () => {
  const mounts = await open();
  const broken = { ...wanted, seed: async () => await Promise.reject(new Error("no")) };
  await expect(Promise.all([mounts.acquire(broken), mounts.acquire(broken)])).rejects.toThrow("no");
  expect([mounts.usage(), readdirSync(join(root, "mounts"))]).toEqual([[], []]);
  await using held = await mounts.acquire(wanted);
  expect(existsSync(held.directory)).toBe(true);
});

test("half filled by an engine that died, it is begun anew; whole ones stay", async () => {
  const before = await open();
  await (await before.acquire({ ...wanted, name: "/whole" }))[Symbol.asyncDispose]();
  const stuck = before.acquire({ ...wanted, seed: async () => await new Promise(() => undefined) });
  stuck.catch(() => undefined);
  const after = await open();
  expect(after.usage().map(({ description }) => description)).toEqual(["cached mount /whole from exec"]);
  expect(readdirSync(join(root, "mounts"))).toHaveLength(1);
});

test("private is nobody else's meanwhile, locked is taken in turn", async () => {
  const mounts = await open();
  const lonely = { ...wanted, sharing: "private" } as const;
  const one = await mounts.acquire(lonely);
  {
    await using two = await mounts.acquire(lonely);
    expect(two.directory).not.toBe(one.directory);
  }
  await one[Symbol.asyncDispose]();
  await using again = await mounts.acquire(lonely);
  expect(existsSync(again.directory)).toBe(true);
  expect(mounts.usage()).toHaveLength(2);
  const locked = { ...wanted, name: "/l", sharing: "locked" } as const;
  const first = await mounts.acquire(locked);
  const order: string[] = [];
  const second = mounts.acquire(locked).then(async (held) => {
    order.push("second");
    await held[Symbol.asyncDispose]();
  });
  order.push("first");
  await first[Symbol.asyncDispose]();
  await second;
  expect(order).toEqual(["first", "second"]);
});
