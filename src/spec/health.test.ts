import { expect, test } from "bun:test";
import { parseProbe, timingOf } from "./health.ts";

test.each([
  [[], undefined],
  [["NONE"], undefined],
  [["CMD", "a", "b"], { kind: "exec", args: ["a", "b"] }],
  [["CMD-SHELL", "a b"], { kind: "exec", args: ["/bin/sh", "-c", "a b"] }],
  [["TCP", "5432"], { kind: "tcp", host: "127.0.0.1", port: 5432 }],
  [["TCP", ":5432"], { kind: "tcp", host: "127.0.0.1", port: 5432 }],
  [["TCP", "[::1]:5432"], { kind: "tcp", host: "::1", port: 5432 }],
  [["HTTP", "http://:8080/a?b=c"], { kind: "http", host: "127.0.0.1", port: 8080, path: "/a?b=c" }],
  [["HTTP", "http://localhost"], { kind: "http", host: "127.0.0.1", port: 80, path: "/" }],
  [["HTTP", "http://10.0.0.2:81?x"], { kind: "http", host: "10.0.0.2", port: 81, path: "/?x" }],
] as [string[], ReturnType<typeof parseProbe>][])("%j", (Test, probe) => {
  expect(parseProbe({ Test })).toEqual(probe);
});

test("a shell of the image's", () => {
  expect(parseProbe({ Test: ["CMD-SHELL", "x"] }, ["/bin/ash", "-ec"])).toEqual({
    kind: "exec",
    args: ["/bin/ash", "-ec", "x"],
  });
});

test.each([
  [["cmd", "x"]],
  [["CMD"]],
  [["TCP"]],
  [["TCP", "80", "81"]],
  [["TCP", "0"]],
  [["TCP", "999.1.1.1:80"]],
  [["TCP", "example.com:80"]],
  [["HTTP", "http://:80/a b"]],
  [["HTTP", "http://:80/\r\nX: y"]],
  [["HTTP", "http://user@:80/"]],
  [["HTTP", "https://:443/"]],
])("%j is refused", (Test) => {
  expect(() => parseProbe({ Test })).toThrow("Healthcheck");
});

test("what an image says wrongly neither keeps the engine busy nor overflows a timer", () => {
  const month = 30 * 24 * 3600e9;
  expect(timingOf({ Interval: 1, Timeout: month, StartPeriod: -5, Retries: -1 })).toEqual({
    ...{ interval: 1, timeout: 2 ** 31 - 1, startPeriod: 0, startInterval: 5000, retries: 3 },
  });
});

test("what is not said is as in Docker, in milliseconds", () => {
  const usual = { interval: 30_000, timeout: 30_000, startPeriod: 0, startInterval: 5000, retries: 3 };
  expect(timingOf(undefined)).toEqual(usual);
  expect(timingOf({ Interval: 1e9, Retries: 0, StartPeriod: 5e8 })).toEqual({
    ...usual,
    ...{ interval: 1000, startPeriod: 500 },
  });
});
