import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FrameDecoder } from "#spec/frames.ts";
import { LogParser } from "./log-parser.ts";
import type { LogRead } from "./log-reader.ts";
import { testLogs } from "./logs-fixture.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-logs-"));
  path = join(directory, "log");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const logs = testLogs();
const { signal } = new AbortController();
const both = { stdout: true, stderr: true, signal };

function line(second: number, stream: "stdout" | "stderr", tag: "F" | "P", text: string): string {
  return `2026-01-01T00:00:${String(second).padStart(2, "0")}.000000007+00:00 ${stream} ${tag} ${text}\n`;
}
const nano = (second: number) => BigInt(Date.UTC(2026, 0, 1, 0, 0, second)) * 1_000_000n + 7n;

async function textOf(o: Partial<LogRead>): Promise<string> {
  let text = "";
  for await (const { stream, bytes } of logs.read(path, { ...both, ...o }))
    text += `${stream === "stderr" ? "!" : ""}${Buffer.from(bytes).toString()}`;
  return text;
}

const sample =
  line(1, "stdout", "F", "one") +
  line(2, "stderr", "F", "two") +
  line(3, "stdout", "P", "thr") +
  line(3, "stdout", "F", "ee") +
  line(4, "stdout", "F", "") +
  line(5, "stdout", "P", "five");

describe("a log at rest", () => {
  beforeEach(() => writeFileSync(path, sample));

  const cases: [string, Partial<LogRead>, string][] = [
    ["whole", {}, "one\n!two\nthree\n\nfive"],
    ["joined", { joined: "plain" }, "one\n!two\nthree\n\nfive"],
    ["one stream", { stdout: false }, "!two\n"],
    ["the last three lines", { tail: 3 }, "three\n\nfive"],
    ["the last line", { tail: 1 }, "five"],
    ["more lines than there are", { tail: 99 }, "one\n!two\nthree\n\nfive"],
    ["no line", { tail: 0 }, ""],
    ["what came since", { since: nano(3) }, "three\n\nfive"],
    ["what came until", { until: nano(2) }, "one\n!two\n"],
    ["both", { since: nano(2), until: nano(3), joined: "plain" }, "!two\nthree\n"],
    ["from the end", { from: "end" }, ""],
  ];
  for (const [what, o, expected] of cases)
    test(`is read: ${what}`, async () => {
      expect(await textOf(o)).toBe(expected);
    });

  test("tells the time of every line", async () => {
    const frames = await Array.fromAsync(logs.read(path, both));
    expect(frames.map(({ timeNano }) => timeNano)).toEqual([1, 2, 3, 3, 4, 5].map(nano));
  });

  test("that is not there is empty", async () => {
    rmSync(path);
    expect(await textOf({})).toBe("");
  });
});

test("however the log is cut up, the same bytes come out", () => {
  const bytes = Buffer.from(sample + line(6, "stdout", "F", "b\r\u0000\xff"));
  for (const joined of ["plain", undefined] as const)
    for (let size = 1; size < 97; size += 6) {
      const parser = new LogParser({ stdout: true, stderr: true, joined });
      const parts: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size)
        for (const frame of parser.push(bytes.subarray(at, at + size))) parts.push(frame.bytes);
      expect(Buffer.concat(parts).toString()).toBe("one\ntwo\nthree\n\nfiveb\r\u0000\xff\n");
    }
});

test("multiplexed, every line is a frame of its own, however the log is cut up", () => {
  const bytes = Buffer.from(sample + line(6, "stdout", "F", "x".repeat(70_000)));
  for (let size = 7; size < 2000; size += 97) {
    const parser = new LogParser({ stdout: true, stderr: true, joined: "multiplexed" });
    const decoder = new FrameDecoder();
    const lines: [string, number][] = [];
    let open = "";
    for (let at = 0; at < bytes.length; at += size)
      for (const pushed of parser.push(bytes.subarray(at, at + size)))
        for (const frame of decoder.push(pushed.bytes)) {
          open += Buffer.from(frame.bytes).toString();
          if (!open.endsWith("\n")) continue;
          lines.push([frame.stream, open.length]);
          open = "";
        }
    expect(lines.at(-1)).toEqual(["stdout", "fivex".length + 70_000]);
    expect(lines.length).toBe(5);
  }
});

test("what is no record is left out, and a record without end does not fill the memory", () => {
  const parser = new LogParser({ stdout: true, stderr: true });
  expect(parser.push(Buffer.from("rubbish\n\n"))).toEqual([]);
  for (let count = 0; count < 40; count++) expect(parser.push(Buffer.alloc(64 << 10, 0x61))).toEqual([]);
  expect(parser.push(Buffer.from(`\n${line(1, "stdout", "F", "x")}`)).length).toBe(1);
});

test("the tail is found across many blocks", async () => {
  let text = "";
  for (let index = 0; index < 5000; index++)
    text += line(1, "stdout", "F", `${index} ${"x".repeat(index % 90)}`);
  writeFileSync(path, text);
  expect((await textOf({ tail: 2500 })).split("\n", 1)[0]).toStartWith("2500 ");
  expect((await textOf({ tail: 5000 })).split("\n", 1)[0]).toStartWith("0 ");
});

describe("a log that is followed", () => {
  test("gives what is written until its end, byte for byte, and nothing twice", async () => {
    writeFileSync(path, sample);
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const reading = textOf({ from: "end", follow: { ended } });
    let expected = "";
    for (let index = 0; index < 300; index++) {
      const record = line(9, "stdout", "F", `${index}`);
      appendFileSync(path, record.slice(0, index % 50));
      if (index % 7 === 0) await Bun.sleep(1);
      appendFileSync(path, record.slice(index % 50));
      expected += `${index}\n`;
    }
    resolve();
    expect(await reading).toBe(expected);
  });

  test("is read to its end although it is removed before it is read", async () => {
    writeFileSync(path, "");
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const frames = logs.read(path, { ...both, follow: { ended } });
    appendFileSync(path, line(1, "stdout", "F", "late"));
    rmSync(path);
    resolve();
    expect((await Array.fromAsync(frames)).length).toBe(1);
  });

  test("is left at once with the signal, and nothing stays open", async () => {
    writeFileSync(path, sample);
    const opened = () => readdirSync("/proc/self/fd").length;
    const before = opened();
    const controller = new AbortController();
    const forever = new Promise<never>(() => undefined);
    const o = { ...both, signal: controller.signal, follow: { ended: forever } };
    const unread = logs.read(path, o);
    const reading = (async () => {
      for await (const _ of logs.read(path, o));
    })();
    await Bun.sleep(20);
    controller.abort(new Error("left"));
    expect(await reading.catch((error: Error) => error.message)).toBe("left");
    expect(unread).toBeDefined();
    await Bun.sleep(20);
    expect(opened()).toBeLessThanOrEqual(before + 1);
  });
});
