/** Which process has a port: for the message of one that could not be taken. Slow: looks at every process. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { PortProtocol } from "#spec/network.ts";

export interface PortOwner {
  readonly pid: number;
  readonly name: string;
}

/** Undefined when no process of this network namespace is found to have it. */
export function portOwner(protocol: PortProtocol, port: number): PortOwner | undefined {
  const inodes = new Set([...inodesOf(protocol, port), ...inodesOf(`${protocol}6`, port)]);
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
    if (hasSocket(pid, inodes)) return { pid: Number(pid), name: readText(`/proc/${pid}/comm`).trim() };
  return undefined;
}

/** Of the sockets bound to the port that take connections or packets (proc_pid_net(5)). */
function inodesOf(table: string, port: number): string[] {
  return readText(`/proc/thread-self/net/${table}`)
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local = "", remote = ""]) =>
        Number.parseInt(local.split(":")[1] ?? "", 16) === port && remote.endsWith(":0000"),
    )
    .map((fields) => fields[9] ?? "");
}

function hasSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return false;
  }
  return names.some((name) => {
    try {
      return inodes.has(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1] ?? "");
    } catch {
      return false;
    }
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
