/** How ports are written in requests: `80/tcp` of a container, `8080` or `8080-8090` of the host; faults in Docker's words. */
import { Fault } from "./fault.ts";
import { canonicalAddress, parseAddress } from "./ip.ts";
import type { PortProtocol } from "./network.ts";

export interface ContainerPort {
  readonly protocol: PortProtocol;
  readonly containerPort: number;
}

/** Both ends belong to it. */
export interface PortRange {
  readonly low: number;
  readonly high: number;
}

const protocols: readonly string[] = ["tcp", "udp", "sctp"] satisfies PortProtocol[];

/** `80/tcp`, `80`. @throws Fault `invalid`. */
export function parseContainerPort(key: string): ContainerPort {
  const [ports] = parseContainerPorts(key);
  if (ports === undefined || /^\d+-/.test(key)) throw wrong(key);
  return ports;
}

/** `80-90/tcp` too. @throws Fault `invalid`. */
export function parseContainerPorts(key: string): ContainerPort[] {
  const [, range = "", written = "tcp"] = /^([\d-]+)(?:\/([a-z]+))?$/i.exec(key) ?? [];
  const bounds = rangeOf(range);
  const protocol = written.toLowerCase();
  if (bounds === undefined || !isProtocol(protocol)) throw wrong(key);
  const { low, high } = bounds;
  return Array.from({ length: high - low + 1 }, (_, index) => ({ protocol, containerPort: low + index }));
}

/** Undefined for any free one: nothing, or 0. @throws Fault `invalid`. */
export function parseHostPort(text: string): PortRange | undefined {
  if (text === "" || text === "0") return undefined;
  const range = rangeOf(text);
  if (range === undefined) throw wrong(text);
  return range;
}

/** Of an address of the host, with or without brackets; empty stays empty. @throws Fault `invalid`. */
export function parseHostIp(text: string): string {
  const bare = text.replace(/^\[(.*)\]$/, "$1");
  if (bare === "") return "";
  if (parseAddress(bare) === undefined) throw new Fault("invalid", `invalid IP address: ${bare}`);
  return canonicalAddress(bare);
}

function rangeOf(text: string): PortRange | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const [low, high] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  return match === null || low < 1 || high > 65535 || low > high ? undefined : { low, high };
}

function isProtocol(text: string): text is PortProtocol {
  return protocols.includes(text);
}

function wrong(text: string): Fault {
  return new Fault("invalid", `invalid port specification: ${JSON.stringify(text)}`);
}
