/** What the machine's CPUs did, and what a process's network interfaces carried: proc_stat(5), proc_pid_net(5). */
import { readFile } from "node:fs/promises";
import type { InterfaceUsage } from "#spec/usage.ts";

/** `/proc/stat` counts in hundredths of a second on every architecture Linux runs on. */
const tickNanoseconds = 1e7;
/** Up to softirq: time of guests is in user time already. */
const countedFields = 7;

/** Time of all CPUs since boot in nanoseconds, idle time included, and how many there are. */
export async function cpuTime(path = "/proc/stat"): Promise<{ system: number; online: number }> {
  const lines = (await readFile(path, "latin1")).split("\n");
  const fields = (lines[0] ?? "").split(/\s+/).slice(1, countedFields + 1);
  const system = fields.reduce((sum, field) => sum + Number(field), 0) * tickNanoseconds;
  return { system, online: lines.filter((line) => /^cpu\d/.test(line)).length };
}

/** Interfaces of the network namespace that process `pid` is in, without the loopback; none when it is gone. */
export async function interfaceUsage(pid: number, proc = "/proc"): Promise<Record<string, InterfaceUsage>> {
  const text = await readFile(`${proc}/${pid}/net/dev`, "latin1").catch(() => "");
  const interfaces = [...text.matchAll(/^\s*(\S+):\s*(.*)$/gm)].flatMap(
    ([, name = "", numbers = ""]): [string, InterfaceUsage][] => {
      const at = numbers.split(/\s+/).map(Number);
      if (name === "lo") return [];
      const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDropped = 0] = at;
      const [txBytes = 0, txPackets = 0, txErrors = 0, txDropped = 0] = at.slice(8);
      return [[name, { rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped }]];
    },
  );
  return Object.fromEntries(interfaces);
}
