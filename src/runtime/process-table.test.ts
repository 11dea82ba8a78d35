import { expect, test } from "bun:test";
import { keepProcesses, listProcesses } from "./process-table.ts";

test("keeps the container's processes and the blanks of the last column", () => {
  const output = "USER   PID CMD\nroot     7 sleep 1 2\nroot     8 other\n";
  expect(keepProcesses(output, new Set([7]))).toEqual({
    titles: ["USER", "PID", "CMD"],
    processes: [["root", "7", "sleep 1 2"]],
  });
});

test("threads go with the process above them", () => {
  const output = "PID LWP CMD\n7 - a\n- 7 -\n- 9 -\n8 - b\n- 8 -\n";
  expect(keepProcesses(output, new Set([7])).processes).toEqual([
    ["7", "-", "a"],
    ["-", "7", "-"],
    ["-", "9", "-"],
  ]);
});

test("a table that does not tell the pids is refused in Docker's words", () => {
  expect(() => keepProcesses("COMMAND\nsh\n", new Set([1]))).toThrow("Couldn't find PID field in ps output");
  expect(() => keepProcesses("PID\nx\n", new Set([1]))).toThrow("Unexpected pid 'x'");
});

test("another column must not be called PID", async () => {
  expect(listProcesses("-eo user=PID ,pid", [process.pid])).rejects.toThrow(
    'specifying "user=PID" is not allowed',
  );
});

test("asks ps itself, also with options that do not go with single pids", async () => {
  const own = String(process.pid);
  expect((await listProcesses("-eo pid,comm", [process.pid])).processes.map(([pid]) => pid)).toEqual([own]);
  expect((await listProcesses("-e f -o pid", [process.pid])).processes.map(([pid]) => pid)).toEqual([own]);
  expect(listProcesses("--bogus", [process.pid])).rejects.toThrow("ps: error: unknown gnu long option");
});
