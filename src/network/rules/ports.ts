/** Pure. Which ports a container opens on the host, from what its request says. */
import type { ContainerConfig, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { anywhere, type Family, families, familyOf } from "#spec/ip.ts";
import type { PublishedPort } from "#spec/network.ts";
import {
  type ContainerPort,
  type PortRange,
  parseContainerPort,
  parseContainerPorts,
  parseHostIp,
  parseHostPort,
} from "#spec/port-spec.ts";
import type { GatewayMode } from "./ruleset.ts";

export interface PortRequest extends ContainerPort {
  /** All have the same port of the host. */
  readonly addresses: readonly HostAddress[];
  /** Undefined for any free port. */
  readonly hostPort?: PortRange | undefined;
}

export interface HostAddress {
  /** `0.0.0.0` or `::` for every address of its family. */
  readonly ip: string;
  /** False: the container is reached at its own address, the host has no port. */
  readonly bound: boolean;
}

/** Where ports lead. */
export interface PortPlace {
  /** Where nothing is said: `0.0.0.0` means every address of both families. */
  readonly hostIp: string;
  /** Of the families the container has addresses in. */
  readonly modes: Readonly<Partial<Record<Family, GatewayMode>>>;
  /** Ports of IPv6 may lead to a container that has only IPv4. */
  readonly relays: boolean;
  /** The host has IPv6: where nothing is said, ports are published there too. */
  readonly hostHasIpv6: boolean;
}

/** Ports of this host that a relay serves, for what the kernel does not lead to the container. */
export function isRelayed({ hostIp, hostPort, protocol }: Omit<PublishedPort, "containerPort">): boolean {
  return hostPort !== 0 && protocol !== "sctp" && familyOf(hostIp) === 6;
}

/** Every binding in the order of the container's ports. @throws Fault `invalid` in Docker's words. */
export function portRequests(config: ContainerConfig, host: HostConfig, place: PortPlace): PortRequest[] {
  const bindings = host.PortBindings ?? {};
  const requests: PortRequest[] = [];
  for (const [key, list] of Object.entries(bindings)) {
    const port = parseContainerPort(key);
    // An empty list publishes nothing, as with dockerd.
    for (const { HostIp = "", HostPort = "" } of list ?? [])
      requests.push({
        ...port,
        addresses: hostAddresses(HostIp, place, port),
        hostPort: parseHostPort(HostPort),
      });
  }
  if (host.PublishAllPorts === true)
    for (const port of Object.keys(config.ExposedPorts ?? {}).flatMap(parseContainerPorts))
      if (!requests.some((each) => isSamePort(each, port)))
        requests.push({ ...port, addresses: hostAddresses("", place, port) });
  return requests.sort((a, b) => a.containerPort - b.containerPort || (a.protocol < b.protocol ? -1 : 1));
}

function isSamePort(one: ContainerPort, other: ContainerPort): boolean {
  return one.containerPort === other.containerPort && one.protocol === other.protocol;
}

/** Where nothing is said, every family the container can be reached in; the default of one family leaves the other out. */
function hostAddresses(
  asked: string,
  place: PortPlace,
  { containerPort, protocol }: ContainerPort,
): HostAddress[] {
  const ip = parseHostIp(asked || place.hostIp);
  const everywhere = asked === "" && ip === anywhere[4];
  const wanted = everywhere ? families : [familyOf(ip)];
  const isNat = place.modes[4] === "nat" || place.modes[4] === "nat-unprotected";
  const relays = place.relays && isNat && protocol !== "sctp" && (!everywhere || place.hostHasIpv6);
  const found = wanted.flatMap((family): HostAddress[] => {
    const mode = place.modes[family];
    const own = everywhere ? anywhere[family] : ip;
    if (mode !== undefined && mode !== "isolated") return [{ ip: own, bound: mode !== "routed" }];
    return family === 6 && mode === undefined && relays ? [{ ip: own, bound: true }] : [];
  });
  if (found.length === 0 && asked !== "") {
    const family = familyOf(ip);
    const relayless =
      protocol === "sctp" && family === 6
        ? ", and SCTP is led by the kernel alone, which does not translate between IPv6 and IPv4"
        : "";
    throw new Fault(
      "invalid",
      `the port ${containerPort}/${protocol} cannot be published on ${ip}: the container has no IPv${family} address${relayless}: put it on a network with IPv${family}`,
    );
  }
  return found;
}

/** Which open ports stay, which requests need more, and which ports nobody asks for any more. */
export function settlePorts(
  open: readonly PublishedPort[],
  requests: readonly PortRequest[],
): { kept: PublishedPort[]; wanted: PortRequest[]; gone: PublishedPort[] } {
  const kept: PublishedPort[] = [];
  const wanted: PortRequest[] = [];
  let gone = [...open];
  for (const request of requests) {
    const { found, missing } = serving(gone, request);
    kept.push(...found);
    gone = gone.filter((each) => !found.includes(each));
    if (missing !== undefined) wanted.push(missing);
  }
  return { kept, wanted, gone };
}

/** Open ports of one number for as many of its addresses as can be; for the others that number is still missing. */
function serving(
  open: readonly PublishedPort[],
  request: PortRequest,
): { found: PublishedPort[]; missing: PortRequest | undefined } {
  const { addresses, containerPort, protocol } = request;
  const { low, high } = request.hostPort ?? { low: 1, high: 65535 };
  const fitting = open.filter(
    (each) =>
      each.containerPort === containerPort &&
      each.protocol === protocol &&
      (each.hostPort === 0 || (each.hostPort >= low && each.hostPort <= high)),
  );
  const at = ({ bound, ip }: HostAddress, number: number) =>
    fitting.find(
      ({ hostIp, hostPort }) =>
        hostIp === ip && (bound ? hostPort === number && hostPort !== 0 : hostPort === 0),
    );
  const foundAt = (number: number) =>
    addresses.map((each) => at(each, number)).filter((each) => each !== undefined);
  const [number = 0] = fitting
    .map(({ hostPort }) => hostPort)
    .filter((each) => each !== 0)
    .sort((a, b) => foundAt(b).length - foundAt(a).length);
  const rest = addresses.filter((each) => at(each, number) === undefined);
  const hostPort = number === 0 ? request.hostPort : { low: number, high: number };
  return {
    found: foundAt(number),
    missing: rest.length === 0 ? undefined : { ...request, addresses: rest, hostPort },
  };
}
