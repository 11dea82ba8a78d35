/** Makes the host a router between its interfaces, as networks need it. */
import { readdirSync, readFileSync } from "node:fs";
import { write } from "./namespaces.ts";

export function forwardIpv4(): void {
  write("/proc/sys/net/ipv4/ip_forward", "1");
}

const directory = "/proc/sys/net/ipv6/conf";
/** Values of `accept_ra` (ip-sysctl): only hosts take advertisements, or routers too. */
const [hostsOnly, always] = ["1", "2"];

/**
 * A router takes no advertisements of others (RFC 4861): interfaces that did, and have their addresses and their way out from
 * them, are told to go on doing so before. Idempotent.
 */
export function forwardIpv6(): void {
  if (read(`${directory}/all/forwarding`) !== "0") return;
  for (const name of readdirSync(directory)) {
    const path = `${directory}/${name}/accept_ra`;
    if (name !== "all" && read(path) === hostsOnly) write(path, always);
  }
  write(`${directory}/all/forwarding`, "1");
}

/** Empty where the kernel has no such setting. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1").trim();
  } catch {
    return "";
  }
}
