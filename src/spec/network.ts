/** Networks, endpoints and ports as the engine knows them. Pure. */
import type { Family } from "./ip.ts";

/** A port opened for a container, as it is on the host. */
export interface PublishedPort {
  readonly protocol: PortProtocol;
  readonly containerPort: number;
  /** `0.0.0.0`, `::` or a literal address. */
  readonly hostIp: string;
  /** 0 where the container is reached at its own address, and the host has no port. */
  readonly hostPort: number;
}

export type PortProtocol = "tcp" | "udp" | "sctp";

/** What one container has on one network. */
export interface Endpoint {
  readonly networkId: string;
  readonly networkName: string;
  readonly endpointId: string;
  /** Empty on networks without addresses (host, none). */
  readonly ipAddress: string;
  readonly prefixLength: number;
  /** Empty where the network leads nowhere else; `0.0.0.0` where it leads out without a gateway. */
  readonly gateway: string;
  /** The same of IPv6; empty on networks without. */
  readonly ip6Address: string;
  readonly prefixLength6: number;
  readonly gateway6: string;
  readonly macAddress: string;
  /** In the container; empty when there is none. */
  readonly interfaceName: string;
  /** The other end, on the host; empty when there is none, or the host does not see it. */
  readonly hostInterface: string;
  /** The highest one's gateway is the container's way out. */
  readonly gatewayPriority: number;
  /** What others on the network call the container; none where names are not answered. */
  readonly dnsNames: readonly string[];
  /** `CONTAINER:ALIAS`: names only this container has for others. */
  readonly links: readonly string[];
}

type Addressed = Pick<Endpoint, "ipAddress" | "ip6Address">;

/** Empty where it has none. */
export function addressIn({ ipAddress, ip6Address }: Addressed, family: Family): string {
  return family === 4 ? ipAddress : ip6Address;
}

/** Those it has, IPv4 first. */
export function addressesOf({ ipAddress, ip6Address }: Addressed): string[] {
  return [ipAddress, ip6Address].filter((each) => each !== "");
}

/** Empty where it has none. */
export function gatewayIn(
  { gateway, gateway6 }: Pick<Endpoint, "gateway" | "gateway6">,
  family: Family,
): string {
  return family === 4 ? gateway : gateway6;
}

/** A network namespace with its endpoints, as made for one container. */
export interface Sandbox {
  /** A path that `setns` and an OCI runtime accept; absent in host mode. */
  readonly netnsPath?: string;
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PublishedPort[];
}

/** One subnet of a network, as decided. */
export interface NetworkPool {
  /** `172.18.0.0/16`. */
  readonly subnet: string;
  /** Where addresses of containers are chosen from, when not the whole subnet. */
  readonly range?: string;
  /** Empty where the network has none. */
  readonly gateway: string;
  /** Addresses by name that other machines have. */
  readonly auxiliary: Readonly<Record<string, string>>;
}

/** `IPAM.Config[]` as asked for (Engine API `IPAMConfig`). */
export interface NetworkIpamConfig {
  readonly Subnet?: string;
  readonly IPRange?: string;
  readonly Gateway?: string;
  readonly AuxiliaryAddresses?: Readonly<Record<string, string>>;
}

/** What makes a network, apart from what the engine decides. */
export interface NetworkSettings {
  readonly driver: string;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** Nothing outside it is reached from it, nor it from outside. */
  readonly internal: boolean;
  readonly attachable: boolean;
  /** Only a pattern for others. */
  readonly configOnly: boolean;
  /** Name of the network whose settings these are; empty for none. */
  readonly configFrom: string;
  readonly ipam: {
    readonly driver: string;
    readonly options: Readonly<Record<string, string>> | null;
    /** As asked for; empty where the engine chose. */
    readonly config: readonly NetworkIpamConfig[];
  };
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

export interface NetworkRecord extends NetworkSettings {
  readonly id: string;
  readonly name: string;
  /** RFC 3339. */
  readonly created: string;
  /** Of drivers with addresses. */
  readonly pools: readonly NetworkPool[];
  /** The interface on the host that carries it; empty for none. */
  readonly device: string;
  /** False when it was there before the network. */
  readonly ownsDevice: boolean;
}

/** The body of `POST /networks/create`, validated. */
export interface NetworkCreateRequest extends NetworkSettings {
  readonly name: string;
  readonly scope: string;
  readonly ingress: boolean;
}

/** Names that networks of the engine's own have; nobody else's can. */
export const predefinedNetworks: readonly string[] = ["bridge", "host", "none"];

/** Whether containers find one another by name there. */
export function isUserDefined(network: string): boolean {
  return !predefinedNetworks.includes(network) && network !== "default" && !network.startsWith("container:");
}

/** Where a container's answer to a name comes from. */
export interface NameTrace {
  readonly name: string;
  readonly type: "A" | "AAAA";
  /** In the order they are taken. */
  readonly steps: readonly NameTraceStep[];
  /** Empty when nobody knows. */
  readonly addresses: readonly string[];
}

export interface NameTraceStep {
  /** With what the search list adds. */
  readonly asked: string;
  /** `network back: alias of container web`, `the host's server 10.0.0.53`. */
  readonly source: string;
  /** `NOERROR`, `NXDOMAIN`, `no answer`. */
  readonly outcome: string;
  readonly answers: readonly string[];
}

/** One thing that can be reached, or cannot, from one place. */
export interface AuditRow {
  /** `outside`, `host`, `network NAME`. */
  readonly from: string;
  /** `container NAME`, `the engine`. */
  readonly to: string;
  /** `0.0.0.0:8080/tcp`. */
  readonly address: string;
  /** `host filter`: rules that are not the engine's decide. */
  readonly verdict: "open" | "closed" | "host filter";
  readonly why: string;
  /** What a probe met, when probes were asked for. */
  readonly probe?: ProbeResult;
  /** Why none was sent: `not tried` alone. */
  readonly untried?: string;
}

/**
 * `open`: a connection was made, or a datagram answered. `open or silent`: a datagram arrived at the container, and nothing came
 * back. `refused`: it was reached, and nobody listens. `rejected`: refused on the way, it was never reached. `no answer`: nothing
 * came back, and no datagram arrived.
 */
export type ProbeResult = "open" | "open or silent" | "refused" | "rejected" | "no answer" | "not tried";

/** What speaks for a verdict: the rules alone, a probe too, or a probe against it. */
export type Evidence = "rules" | "probe" | "contradicted";

/** Pure. Where the host's own rules decide, whatever a probe meets is right. */
export function evidenceOf({
  probe,
  verdict,
}: Pick<AuditRow, "verdict"> & { readonly probe: ProbeResult | undefined }): Evidence {
  if (probe === undefined || probe === "not tried") return "rules";
  const reached = probe === "open" || probe === "open or silent" || probe === "refused";
  if (verdict === "host filter") return "probe";
  return reached === (verdict === "open") ? "probe" : "contradicted";
}
