import { expect, test } from "bun:test";
import type { StatusRead } from "#spec/buildkit-control.ts";
import { displayOf } from "./build-display.ts";

const second = 1_000_000_000n;
const vertex = (name: string, o: Partial<StatusRead["vertexes"][number]> = {}) =>
  ({
    digest: name,
    name,
    inputs: [],
    cached: false,
    error: "",
    started: second,
    ...o,
  }) as StatusRead["vertexes"][number];
const status = (o: Partial<StatusRead>): StatusRead =>
  ({ vertexes: [], statuses: [], logs: [], warnings: [], ...o }) as StatusRead;
const log = (name: string, text: string) =>
  ({
    vertex: name,
    stream: 1,
    msg: Buffer.from(text),
    timestamp: (second * 3n) / 2n,
  }) as StatusRead["logs"][number];

/** All that was written, and what a terminal shows of it in the end. */
function shown(mode: "plain" | "tty", messages: readonly StatusRead[]): { written: string; screen: string } {
  const parts: string[] = [];
  const screen = { write: (text: string) => void parts.push(text), columns: 60, rows: 20 };
  const display = displayOf(mode, screen, () => 3000);
  for (const message of messages) display.take(message);
  display.end();
  const written = parts.join("");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal acts on.
  return { written, screen: written.replace(/\u001b\[(?:\d*A|J|2K)/g, "") };
}

const failing = [
  status({ vertexes: [vertex("[1/2] FROM busybox", { completed: second * 2n, cached: true })] }),
  status({ vertexes: [vertex("[2/2] RUN false")], logs: [log("[2/2] RUN false", "one\ntw")] }),
  status({ logs: [log("[2/2] RUN false", "o\u001b[31m\n")] }),
  status({ vertexes: [vertex("[2/2] RUN false", { completed: second * 2n, error: "exit code: 1" })] }),
];

test("a terminal shows each step with its time, and in the end what a step said that failed", () => {
  const { screen } = shown("tty", failing);
  const right = (text: string, time: string) => `${text}${time.padStart(60 - text.length)}`;
  expect(screen.split("\n")).toEqual([
    "[+] Building 0.0s (2/2) FINISHED",
    right(" => CACHED [1/2] FROM busybox", "1.0s"),
    right(" => ERROR [2/2] RUN false", "1.0s"),
    " => => # one",
    " => => # two",
    "------",
    " > [2/2] RUN false:",
    "0.500 one",
    "0.500 two",
    "------",
    "",
  ]);
});

test("lines say it as it comes", () => {
  const { written } = shown("plain", failing.slice(0, 2));
  expect(written).toBe("#1 [1/2] FROM busybox\n#1 CACHED\n\n#2 [2/2] RUN false\n#2 0.500 one\n");
  expect(shown("plain", failing).written).toEndWith(
    "#2 ERROR: exit code: 1\n------\n > [2/2] RUN false:\n0.500 one\n0.500 two\u001b[31m\n------\n",
  );
});

test("what was called off is no failure, and what a program says of colours moves no cursor", () => {
  const called = status({ vertexes: [vertex("x", { completed: second, error: "context canceled" })] });
  expect(shown("plain", [called]).written).toBe("#1 x\n#1 CANCELED\n");
  const wild = shown("tty", [status({ vertexes: [vertex("x")], logs: [log("x", "\u001b[5Aup\u0007\r\n")] })]);
  expect(wild.screen).toContain(" => => # up\n");
});
