/** What listens in a network namespace, as the kernel lists it. */
import { readFileSync } from "node:fs";
import { inNamespace } from "#kernel/network/netns.ts";

/** Beyond its loopback: `80/tcp` (proc_pid_net(5)). */
export function listeningPorts(netnsPath: string): string[] {
  try {
    return inNamespace(netnsPath, () => [
      ...portsOf("tcp", "0A"),
      ...portsOf("tcp6", "0A"),
      ...portsOf("udp", "07"),
      ...portsOf("udp6", "07"),
    ]).filter((each, index, all) => all.indexOf(each) === index);
  } catch {
    return [];
  }
}

function portsOf(table: string, state: string): string[] {
  return readFileSync(`/proc/thread-self/net/${table}`, "latin1")
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, local = "", , is] = line.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      const loopback = address.endsWith("7F") || /^0{24}01000000$/.test(address);
      return is === state && !loopback ? [`${Number.parseInt(port, 16)}/${table.replace("6", "")}`] : [];
    });
}
