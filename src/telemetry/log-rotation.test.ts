import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { closeLogFile, type LogFile, listLogFiles, makeLogFiles } from "./log-files.ts";
import { LogReader } from "./log-reader.ts";
import { compressLog, fileLimits, findExcess, markContinued, pruneLog } from "./log-rotation.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-rotation-"));
  path = join(directory, "log");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const file = (number: number, bytes: number, compressed = false): LogFile => ({
  path: `log.${number}`,
  number,
  bytes,
  compressed,
  continues: false,
  inode: number,
  modifiedMs: 0,
});
const record = (text: string, tag = "F") => `2026-01-01T00:00:01.000000007+00:00 stdout ${tag} ${text}\n`;
const never = new AbortController().signal;

describe("what is too much", () => {
  const limits = fileLimits({ maxBytes: 100, maxFiles: 4, compress: false });
  const of = (...closed: LogFile[]) => {
    const { remove, cut } = findExcess(closed, limits);
    return [
      remove.map(({ number }) => number),
      cut === undefined ? undefined : [cut.file.number, cut.keepBytes],
    ];
  };

  test("is nothing within the limits", () => {
    expect(of()).toEqual([[], undefined]);
    expect(of(file(1, 100), file(2, 100), file(3, 100))).toEqual([[], undefined]);
  });
  test("are the oldest, by number", () => {
    expect(of(file(1, 10), file(2, 10), file(3, 10), file(4, 10))).toEqual([[1], undefined]);
  });
  test("are the oldest, by size, as long as about what may stay stays", () => {
    expect(of(file(1, 120), file(2, 130), file(3, 110))).toEqual([[1], undefined]);
  });
  test("is the beginning of a file that is much too large", () => {
    expect(of(file(1, 100), file(2, 5000))).toEqual([[1], [2, 300]]);
    expect(of(file(1, 5000), file(2, 100))).toEqual([[], [1, 200]]);
  });
  test("is never cut out of a compressed file", () => {
    expect(of(file(1, 5000, true), file(2, 10))).toEqual([[1], undefined]);
  });
  test("one file is two of half its size", () => {
    expect(fileLimits({ maxBytes: 101, maxFiles: 1, compress: false })).toEqual({
      fileBytes: 51,
      closedFiles: 1,
      closedBytes: 51,
    });
  });
});

/** What conmon does when it begins a new file. */
function reopen(): void {
  writeFileSync(`${path}.tmp`, "");
  renameSync(`${path}.tmp`, path);
}

describe("files of a log", () => {
  test("have a number from the start, the next one too", async () => {
    makeLogFiles(path);
    makeLogFiles(path);
    expect(readdirSync(directory).sort()).toEqual(["log", "log.1", "log.2", "log.tmp"]);
    writeFileSync(path, "one");
    reopen();
    const { closed, current } = listLogFiles(path);
    expect([closed.map(({ number }) => number), current?.number]).toEqual([[1], 2]);
    expect(readFileSync(closed[0]?.path ?? "", "utf8")).toBe("one");
  });

  test("stay when conmon begins new ones on its own, but for those in between nobody saw", async () => {
    makeLogFiles(path);
    for (const text of ["one", "two", "three", "four"]) {
      writeFileSync(path, text);
      if (text !== "four") reopen();
    }
    makeLogFiles(path);
    const { closed, current } = listLogFiles(path);
    expect(closed.map((each) => readFileSync(each.path, "utf8"))).toEqual(["one", "two"]);
    expect(readFileSync(current?.path ?? "", "utf8")).toBe("four");
  });

  test("that are closed give way to the next; a log from before there were numbers gets one", async () => {
    writeFileSync(path, "old");
    makeLogFiles(path);
    await closeLogFile(path);
    const { closed, current, next } = listLogFiles(path);
    expect(closed.map((each) => readFileSync(each.path, "utf8"))).toEqual(["old"]);
    expect([current?.number, current?.bytes, next?.number]).toEqual([2, 0, 3]);
  });

  test("one that is looked at while conmon makes the next one current is no older file", async () => {
    makeLogFiles(path);
    // As seen between the look at the current file and the one at what lies ahead.
    rmSync(`${path}.tmp`);
    const { closed, current } = listLogFiles(path);
    expect([closed, current?.number]).toEqual([[], 1]);
  });

  test("a file that a stranger put in the place of the one that is written is the newest", async () => {
    makeLogFiles(path);
    writeFileSync(join(directory, "other"), "other");
    renameSync(join(directory, "other"), path);
    makeLogFiles(path);
    const { current, next } = listLogFiles(path);
    expect(readFileSync(current?.path ?? "", "utf8")).toBe("other");
    expect(next?.number).toBeGreaterThan(current?.number ?? 99);
  });

  test("that begin within a line say so, and readers leave out what is left of it", async () => {
    makeLogFiles(path);
    writeFileSync(path, record("one") + record("tw", "P"));
    reopen();
    appendFileSync(path, record("o", "P") + record("!") + record("three"));
    makeLogFiles(path);
    await markContinued(path);
    const { current } = listLogFiles(path);
    expect(current?.continues).toBe(true);
    const text = async (o = {}) => {
      let out = "";
      const reader = new LogReader(path, { stdout: true, stderr: true, signal: never, ...o });
      for await (const { bytes } of reader) out += Buffer.from(bytes).toString();
      return out;
    };
    expect(await text()).toBe("one\ntwo!\nthree\n");
    expect(await text({ tail: 2 })).toBe("two!\nthree\n");
    await pruneLog(path, { fileBytes: 1, closedFiles: 0, closedBytes: 0 });
    expect(await text()).toBe("three\n");
    expect(await text({ tail: 2, joined: "plain" })).toBe("three\n");
  });

  test("are cut at the beginning of a line, and compressed", async () => {
    makeLogFiles(path);
    writeFileSync(path, Array.from({ length: 100 }, (_, index) => record(`line ${index}`)).join(""));
    reopen();
    makeLogFiles(path);
    const closedBytes = 7 * record("line 99").length;
    await pruneLog(path, { fileBytes: closedBytes, closedFiles: 1, closedBytes });
    const [cut] = listLogFiles(path).closed;
    // The record at the edge may be the end of a line that began before it.
    const kept = readFileSync(cut?.path ?? "", "utf8");
    expect(kept).toBe([94, 95, 96, 97, 98, 99].map((index) => record(`line ${index}`)).join(""));
    await compressLog(path, never);
    const [compressed] = listLogFiles(path).closed;
    expect(compressed?.path).toEndWith(".1.gz");
    expect(gunzipSync(readFileSync(compressed?.path ?? "")).toString()).toBe(kept);
    expect(statSync(compressed?.path ?? "").mode & 0o777).toBe(0o600);
    expect(readdirSync(directory).some((name) => name.endsWith(".part"))).toBe(false);
  });
});

test("a second name is no second file", () => {
  writeFileSync(path, "x");
  linkSync(path, `${path}.1`);
  expect(listLogFiles(path)).toMatchObject({ closed: [], current: { number: 1 }, next: undefined });
});
