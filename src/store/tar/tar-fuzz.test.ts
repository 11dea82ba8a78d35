/** Made-up archives: refused or read, every byte handed on once, the same however they come; entries there and back. */
import { expect, test } from "bun:test";
import type { BytePath } from "#kernel/files/byte-path.ts";
import { type Dice, fuzz, mutated } from "#spec/fuzz-fixture.ts";
import { evilArchives } from "./evil-archives.ts";
import type { TarEntry, TarKind } from "./tar-entry.ts";
import { decodePax, encodePax } from "./tar-pax.ts";
import { TarReader } from "./tar-reader.ts";
import { encodeEntry, endOfArchive, paddingAfter } from "./tar-writer.ts";

const kinds: readonly TarKind[] = ["file", "directory", "symlink", "link", "fifo", "character", "block"];
const path = (bytes: Buffer): BytePath => bytes.toString("latin1").replaceAll("\0", "_") as BytePath;

function entryOf(dice: Dice): TarEntry {
  const kind = dice.pick(kinds);
  const isDevice = kind === "character" || kind === "block";
  const number = () => dice.pick([0, 7, 1000, 0o7777777, 0o7777777 + 1, 2 ** 31, 2 ** 40]);
  const long = dice.chance(4) ? "part/".repeat(dice.below(60)) : "";
  return {
    kind,
    name: `${long}n${path(dice.bytes(dice.below(20))).replace(/\/+$/, "")}n` as BytePath,
    linkName: (kind === "symlink" || kind === "link" ? `${long}${path(dice.bytes(9))}l` : "") as BytePath,
    mode: dice.below(0o7777),
    uid: number(),
    gid: number(),
    sizeBytes: kind === "file" ? dice.below(3000) : 0,
    mtimeNano: dice.chance(2)
      ? BigInt(dice.below(2 ** 31)) * 1_000_000_000n
      : BigInt(dice.below(2 ** 31)) - 5n,
    major: isDevice ? dice.below(4096) : 0,
    minor: isDevice ? dice.below(0o7777777) : 0,
    xattrs: new Map(dice.chance(3) ? [[`user.${dice.below(9)}`, dice.bytes(dice.below(50))]] : []),
  };
}

interface Heard {
  readonly entries: TarEntry[];
  readonly contentBytes: number;
  readonly structureBytes: number;
}

/** @throws Fault of the reader. */
function read(bytes: Buffer, step: number): Heard {
  const entries: TarEntry[] = [];
  let [contentBytes, structureBytes] = [0, 0];
  const reader = new TarReader({
    structure: (part) => {
      structureBytes += part.length;
    },
    entry: (entry) => entries.push(entry) > 0,
    content: (part) => {
      contentBytes += part.length;
    },
    endEntry: () => undefined,
  });
  for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
  reader.finish();
  return { entries, contentBytes, structureBytes };
}

function told(bytes: Buffer, step: number): unknown {
  try {
    return read(bytes, step);
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : thrown;
  }
}

test("what is written is read, in parts of any size", () => {
  fuzz({
    sample: (dice) => ({
      entries: Array.from({ length: dice.below(5) }, () => entryOf(dice)),
      step: 1 + dice.below(2000),
    }),
    check: ({ entries, step }) => {
      const parts = entries.flatMap((entry) => [
        encodeEntry(entry),
        Buffer.alloc(entry.sizeBytes, 1),
        paddingAfter(entry.sizeBytes),
      ]);
      const heard = read(Buffer.concat([...parts, endOfArchive]), step);
      const slashed = ({ kind, name }: TarEntry) => (kind === "directory" ? `${name}/` : name);
      expect(heard.entries).toEqual(entries.map((entry) => ({ ...entry, name: slashed(entry) as BytePath })));
    },
  });
});

const seeds = [
  ...evilArchives("/outside").map(({ bytes }) => Buffer.from(bytes)),
  Buffer.concat([encodeEntry({ ...entryOfNothing(), sizeBytes: 5 }), Buffer.alloc(512), endOfArchive]),
].filter(({ length }) => length < 64 << 10);
const words = [
  "ustar\0" + "00",
  "ustar  \0",
  "x",
  "g",
  "L",
  "K",
  "S",
  "5",
  "\0",
  "00000000000",
  "\xff\xff\xff\xff",
];

function entryOfNothing(): TarEntry {
  return {
    ...{ kind: "file", name: "f" as BytePath, linkName: "" as BytePath, mode: 0o644, uid: 0, gid: 0 },
    ...{ sizeBytes: 0, mtimeNano: 0n, major: 0, minor: 0, xattrs: new Map() },
  };
}

/** A header's checksum put right, so that what is behind it is looked at. */
function mended(bytes: Buffer): Buffer {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    if (!block.toString("latin1", 257, 262).startsWith("ustar")) continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }
  return bytes;
}

test("what is damaged is refused or read, the same however it comes", () => {
  const { rounds, refused } = fuzz({
    sample: (dice) => ({ bytes: mended(mutated(dice, dice.pick(seeds), words)), step: 1 + dice.below(700) }),
    check: ({ bytes, step }) => {
      const whole = told(bytes, bytes.length + 1);
      expect(told(bytes, step)).toEqual(whole);
      // Throws the refusal.
      const { contentBytes, structureBytes } = read(bytes, 4096);
      expect(contentBytes + structureBytes).toBe(bytes.length);
    },
  });
  // Both happen, or the samples are of no use.
  expect(refused).toBeGreaterThan(0);
  expect(rounds - refused).toBeGreaterThan(0);
});

test("extended headers", () => {
  fuzz({
    sample: (dice) =>
      Array.from(
        { length: dice.below(4) },
        () => [`k${dice.below(9)}`, dice.bytes(dice.below(200))] as const,
      ),
    check: (records) => {
      const body = encodePax(records);
      expect(decodePax(body)).toEqual(records.map(([key, value]) => [key, value]));
    },
  });
  fuzz({
    sample: (dice) =>
      mutated(
        dice,
        encodePax([
          ["path", dice.bytes(20)],
          ["size", Buffer.from("12")],
        ]),
        ["0", "9", " ", "=", "\n"],
      ),
    check: (body) => void decodePax(body),
  });
});
