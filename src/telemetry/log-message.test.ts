import { expect, test } from "bun:test";
import { LineAssembler } from "./log-message.ts";

const frame = (text: string, stream: "stdout" | "stderr" = "stdout", timeNano = 1n) => ({
  stream,
  timeNano,
  bytes: Buffer.from(text),
});
const texts = (messages: readonly { line: Uint8Array }[]) =>
  messages.map(({ line }) => Buffer.from(line).toString());

test("parts of a line become one, with the time of the first, each stream for itself", () => {
  const lines = new LineAssembler(() => "id");
  expect(
    texts([frame("one\n"), frame("tw"), frame("err", "stderr")].flatMap((each) => lines.push(each))),
  ).toEqual(["one"]);
  expect(lines.isEmpty).toBe(false);
  const done = [frame("o\n", "stdout", 9n), frame("\n", "stderr")].flatMap((each) => lines.push(each));
  expect(texts(done)).toEqual(["two", "err"]);
  expect(done[0]?.timeNano).toBe(1n);
  expect(lines.isEmpty).toBe(true);
  [frame("end")].flatMap((each) => lines.push(each));
  expect(texts(lines.end())).toEqual(["end"]);
});

test("a line longer than a message is cut into marked parts", () => {
  const lines = new LineAssembler(() => "id");
  const messages = [
    ...[frame("x".repeat(8000)), frame("x".repeat(30_000))].flatMap((each) => lines.push(each)),
    ...[frame("end\n")].flatMap((each) => lines.push(each)),
  ];
  expect(messages.map(({ line, partial }) => [line.length, partial])).toEqual([
    [16_384, { id: "id", ordinal: 1, last: false }],
    [16_384, { id: "id", ordinal: 2, last: false }],
    [5235, { id: "id", ordinal: 3, last: true }],
  ]);
  const exact = [frame(`${"y".repeat(16_384)}\n`)].flatMap((each) => lines.push(each));
  expect(exact.map(({ line, partial }) => [line.length, partial])).toEqual([[16_384, undefined]]);
});
