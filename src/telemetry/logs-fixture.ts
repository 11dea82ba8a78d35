/** For tests: logs without a machine around them. */
import { type LogMachine, usualLogSockets } from "./log-drivers.ts";
import { Logs } from "./logs.ts";

let ids = 0;
export const testMachine: LogMachine = {
  hostname: "box",
  pid: 42,
  newId: () => `id${++ids}`,
  ...usualLogSockets,
};

export function testLogs(machine: Partial<LogMachine> = {}): Logs {
  return new Logs({ machine: { ...testMachine, ...machine }, report: () => undefined });
}
