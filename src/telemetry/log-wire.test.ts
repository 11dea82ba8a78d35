import { expect, test } from "bun:test";
import { decode, ExtData } from "@msgpack/msgpack";
import { encodeFluentd } from "./log-fluentd.ts";
import { formatGelf, gelfDatagrams } from "./log-gelf.ts";
import { encodeJournal, journalName } from "./log-journald.ts";
import type { LogMessage } from "./log-message.ts";
import { formatSyslog } from "./log-syslog.ts";

const message: LogMessage = {
  stream: "stderr",
  timeNano: 1_767_323_045_123_456_789n,
  line: Buffer.from("hello ü"),
};
const header = { facility: 24, hostname: "box", tag: "web", pid: 42 } as const;

test("syslog lines in all formats", () => {
  const line = (format: "" | "rfc3164" | "rfc5424" | "rfc5424micro", m = message) =>
    formatSyslog({ ...header, format }, m).toString();
  expect(line("")).toMatch(/^<27>Jan {2}[123] \d\d:\d\d:05 web\[42\]: hello ü\n$/);
  expect(line("rfc3164", { ...message, stream: "stdout" })).toMatch(
    /^<30>Jan {2}[123] \S+ box web\[42\]: hello ü\n$/,
  );
  expect(line("rfc5424")).toMatch(
    /^<27>1 2026-01-0\dT\d\d:\d\d:05(Z|[+-]\d\d:\d\d) box web 42 web - hello ü\n$/,
  );
  expect(line("rfc5424micro")).toMatch(/T\d\d:\d\d:05\.123456(Z|[+-]\d\d:\d\d) box web 42 web - hello ü\n$/);
});

test("fluentd messages, with whole seconds and with event time", () => {
  const fields = { container_id: "c" };
  const record = { container_id: "c", source: "stderr", log: "hello ü" };
  expect(decode(encodeFluentd({ tag: "t", fields, subSecond: false }, message))).toEqual([
    "t",
    1_767_323_045,
    record,
    {},
  ]);
  const partial = { ...message, partial: { id: "p", ordinal: 2, last: false } };
  const [, time, marked, option] = decode(
    encodeFluentd({ tag: "t", fields, subSecond: true }, partial, "chunk"),
  ) as [string, ExtData, object, object];
  expect(time).toBeInstanceOf(ExtData);
  expect(Buffer.from(time.data as Uint8Array).readUInt32BE(4)).toBe(123_456_789);
  expect(marked).toMatchObject({
    partial_message: "true",
    partial_id: "p",
    partial_ordinal: "2",
    partial_last: "false",
  });
  expect(option).toEqual({ chunk: "chunk" });
});

test("a GELF message, whole and in chunks", () => {
  const body = formatGelf(message, "box", { _tag: "t" });
  expect(JSON.parse(body.toString())).toEqual({
    version: "1.1",
    host: "box",
    short_message: "hello ü",
    timestamp: 1_767_323_045.123,
    level: 3,
    _tag: "t",
  });
  const id = Buffer.from("12345678");
  expect(gelfDatagrams(body, id)).toEqual([body]);
  const long = Buffer.alloc(5000, 0x61);
  const chunks = gelfDatagrams(long, id);
  expect(
    chunks.map((chunk) => [chunk.length <= 1420, chunk.subarray(0, 2).toString("hex"), chunk[10], chunk[11]]),
  ).toEqual([0, 1, 2, 3].map((index) => [true, "1e0f", index, 4]));
  expect(Buffer.concat(chunks.map((chunk) => chunk.subarray(12)))).toEqual(long);
  expect(gelfDatagrams(Buffer.alloc(200_000), id)).toEqual([]);
});

test("journal entries; a value with a newline has its length in front", () => {
  const bytes = encodeJournal([
    ["PRIORITY", "6"],
    ["MESSAGE", "a\nb"],
  ]);
  expect(bytes.toString("latin1")).toBe("PRIORITY=6\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n");
  expect(journalName("_com.docker-x1")).toBe("COM_DOCKER_X1");
});
