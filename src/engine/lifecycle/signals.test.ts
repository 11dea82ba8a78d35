import { expect, test } from "bun:test";
import { constants } from "node:os";
import { signalNumber } from "./signals.ts";

test("every signal the machine names has the machine's number", () => {
  for (const [name, number] of Object.entries(constants.signals))
    expect([name, signalNumber(name)]).toEqual([name, number]);
});

test.each([
  ["kill", 9],
  ["SIGTERM", 15],
  ["28", 28],
  ["RTMIN", 34],
  ["SIGRTMIN+3", 37],
  ["RTMAX-1", 63],
])("%p is %p", (text, number) => {
  expect(signalNumber(text)).toBe(number);
});

test.each(["", "0", "65", "SIGNOPE", "RTMIN+31", "RTMIN-1", "-9"])("%p is refused", (text) => {
  expect(() => signalNumber(text)).toThrow(`invalid signal: ${text}`);
});
