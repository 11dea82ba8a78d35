/** Pure. Which ports a container opens on the host, from what its request says. */
import type { ContainerConfig, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

export interface PortRequest {
  readonly protocol: "tcp" | "udp";
  readonly containerPort: number;
  /** `0.0.0.0` for every address. */
  readonly hostIp: string;
  /** Both ends belong to it; undefined for any free port. */
  readonly hostPort?: { readonly low: number; readonly high: number } | undefined;
}

/**
 * Every binding in the order of the container's ports; on `anyIp` where nothing is said.
 * @throws Fault `invalid` in Docker's words.
 */
export function portRequests(config: ContainerConfig, host: HostConfig, anyIp = "0.0.0.0"): PortRequest[] {
  const bindings = host.PortBindings ?? {};
  const requests: PortRequest[] = [];
  for (const [key, list] of Object.entries(bindings)) {
    const port = parsePort(key);
    for (const { HostIp: hostIp = "", HostPort: hostPort = "" } of list ?? [{}])
      if (!isIpv6(hostIp))
        requests.push({
          ...port,
          hostIp: hostIp === "" ? anyIp : checkedIp(hostIp),
          hostPort: parseHostPort(hostPort),
        });
  }
  if (host.PublishAllPorts === true)
    for (const key of Object.keys(config.ExposedPorts ?? {}))
      if (bindings[key] === undefined) requests.push({ ...parsePort(key), hostIp: anyIp });
  return requests.sort((a, b) => a.containerPort - b.containerPort || (a.protocol < b.protocol ? -1 : 1));
}

/** `80/tcp`, `80`. */
function parsePort(key: string): Pick<PortRequest, "protocol" | "containerPort"> {
  const [number = "", protocol = "tcp"] = key.split("/");
  const containerPort = Number(number);
  if (!/^\d{1,5}$/.test(number) || containerPort < 1 || containerPort > 65535)
    throw new Fault("invalid", `invalid port specification: ${JSON.stringify(key)}`);
  if (protocol !== "tcp" && protocol !== "udp")
    throw new Fault(
      "unsupported",
      `port ${key}: the protocol ${protocol} cannot be published yet, only tcp and udp`,
    );
  return { protocol, containerPort };
}

function isIpv6(text: string): boolean {
  return text.includes(":");
}

function checkedIp(text: string): string {
  const parts = text.split(".");
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255))
    throw new Fault("invalid", `invalid IP address: ${text}`);
  return text;
}

function parseHostPort(text: string): PortRequest["hostPort"] {
  if (text === "" || text === "0") return undefined;
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const [low, high] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (match === null || low < 1 || high > 65535 || low > high)
    throw new Fault("invalid", `invalid port specification: ${JSON.stringify(text)}`);
  return { low, high };
}
