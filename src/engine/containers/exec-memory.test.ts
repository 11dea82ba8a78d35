import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nanoOfMillis } from "#spec/unix-time.ts";
import { Records } from "#store/records.ts";
import { ExecMemory, type ExecRecord, type ExecRequest, rememberedMax, rememberedMs } from "./exec-memory.ts";

const request = { args: ["true"] } as unknown as ExecRequest;
const record = (id: string): ExecRecord => ({ id, containerId: "c", request, running: false, pid: 0 });

function memory() {
  const directory = mkdtempSync(join(tmpdir(), "wherry-execs-"));
  const records = Records.open(join(directory, "records.db"));
  const clock = { ms: 1_000_000 };
  const made = new ExecMemory(records, () => nanoOfMillis(clock.ms));
  const dispose = () => {
    records[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  };
  return { memory: made, again: () => new ExecMemory(records, () => 0n), clock, [Symbol.dispose]: dispose };
}

test("an ended exec can be asked about for a while", () => {
  using o = memory();
  const exec = o.memory.add(record("e"));
  o.memory.starting(exec);
  o.memory.ended(exec, 3);
  o.clock.ms += rememberedMs;
  expect(o.memory.get("e").record.exitCode).toBe(3);
  o.clock.ms += 1;
  expect(() => o.memory.get("e")).toThrow("No such exec instance: e");
});

test("of those that do not run the newest are kept, of those that do all", () => {
  using o = memory();
  const running = o.memory.add(record("runs"));
  o.memory.starting(running);
  running.record = { ...running.record, running: true };
  for (let each = 0; each < rememberedMax + 10; each++) o.memory.add(record(`e${each}`));
  expect(() => o.memory.get("e9")).toThrow("No such exec instance");
  expect(o.memory.get("e10").record.id).toBe("e10");
  expect(o.memory.get("runs")).toBe(running);
  expect(o.memory.running("c")).toEqual(["runs"]);
});

test("only what runs is found by the next engine", () => {
  using o = memory();
  const [first, second] = [o.memory.add(record("a")), o.memory.add(record("b"))];
  for (const exec of [first, second]) o.memory.starting(exec);
  o.memory.add(record("never started"));
  o.memory.ended(second, 0);
  expect(o.again().leftBehind()).toEqual([record("a")]);
  o.again().drop("a");
  expect(o.again().leftBehind()).toEqual([]);
});
