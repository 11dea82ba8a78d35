import { expect, test } from "bun:test";
import { Fault } from "#spec/fault.ts";
import { isShort, overdue, type TrashEntry, wantedBack } from "./trash-choice.ts";

const entry = (id: string, removal: string, name: string): TrashEntry => ({
  ...{ id, removal, removedAt: `2026-01-01T00:00:0${id}Z` },
  volume: { name, driver: "local", created: "", mountpoint: "", options: {}, labels: {} },
});
const entries = [
  entry("1", "a", "data"),
  entry("2", "b", "data"),
  entry("3", "c", "x"),
  entry("4", "c", "y"),
];
const free = () => false;
const named = (o: { what?: string; name?: string }, taken: (name: string) => boolean = free) =>
  wantedBack(entries, { ...o, taken }).map(({ entry: { id }, name }) => `${id} ${name}`);

function refusal(work: () => unknown): string {
  try {
    work();
    return "";
  } catch (thrown) {
    const { kind, message } = Fault.from(thrown);
    return `${kind}: ${message}`;
  }
}

test("the last removal as a whole, a removal, an entry, the newest of a name", () => {
  expect(named({})).toEqual(["3 x", "4 y"]);
  expect(named({ what: "c" })).toEqual(["3 x", "4 y"]);
  expect(named({ what: "4" })).toEqual(["4 y"]);
  expect(named({ what: "data" })).toEqual(["2 data"]);
  expect(named({ what: "1", name: "old" })).toEqual(["1 old"]);
});

test("what cannot come back says why, and how it can", () => {
  expect(refusal(() => named({ what: "gone" }))).toContain("not-found: no removed volume is kept");
  expect(refusal(() => wantedBack([], { taken: free }))).toContain("nothing to undo");
  expect(refusal(() => named({ name: "one" }))).toContain("invalid: --name is for one volume");
  expect(refusal(() => named({}, (name) => name === "y"))).toContain("'wherry undo --name NEW_NAME 4'");
});

test("two of one name in one removal do not become one volume", () => {
  const twice = [entry("1", "a", "data"), entry("2", "a", "data")];
  expect(refusal(() => wantedBack(twice, { taken: free }))).toContain("--name NEW_NAME 2");
});

test("a disk is short when little is free, by share and by size; or few inodes", () => {
  const gib = 2 ** 30 / 4096;
  const disk = { bsize: 4096, blocks: 100 * gib, bavail: 50 * gib, files: 1000, ffree: 500 };
  expect(isShort(disk)).toBe(false);
  expect(isShort({ ...disk, bavail: 9 * gib })).toBe(false);
  expect(isShort({ ...disk, bavail: 3 * gib })).toBe(true);
  expect(isShort({ ...disk, blocks: 8 * gib, bavail: gib })).toBe(false);
  expect(isShort({ ...disk, ffree: 5 })).toBe(true);
  expect(isShort({ ...disk, files: 0, ffree: 0 })).toBe(false);
});

test("kept as long as was said, to the millisecond", () => {
  const one = entry("1", "a", "data");
  expect(overdue(one, 1000, "2026-01-01T00:00:01.999Z")).toBe(false);
  expect(overdue(one, 1000, "2026-01-01T00:00:02.000Z")).toBe(true);
});
