/**
 * Pure. What is reachable from where, and why: the records and the rules, walked as a packet walks them. From outside the host,
 * from the host, and from the containers of each network. And what a probe of it would have to try.
 */

import { bridgeOptions } from "#network/records/bridge-options.ts";
import type { SandboxRecord } from "#network/records/sandbox-table.ts";
import type { FirewallMode } from "#network/rules/host-rules.ts";
import { isRelayed } from "#network/rules/ports.ts";
import { bracketed, type Family, familyOf, isAnywhere } from "#spec/ip.ts";
import {
  type AuditRow,
  addressesOf,
  type Endpoint,
  type NetworkRecord,
  type PublishedPort,
} from "#spec/network.ts";

export interface AuditInput {
  readonly networks: readonly NetworkRecord[];
  readonly sandboxes: readonly SandboxRecord[];
  /** What a container listens on beyond its loopback: `80/tcp`. */
  readonly listening: (containerId: string) => readonly string[];
  readonly host: HostFacts;
}

export interface HostFacts {
  readonly mode: FirewallMode;
  /** The host filters what comes to it. */
  readonly filters: boolean;
  /** Chains of others that drop what is forwarded: `table ip filter, chain FORWARD`. */
  readonly drops: readonly string[];
  /** TCP ports of the engine itself. */
  readonly barred: readonly number[];
}

export interface Claim {
  readonly row: AuditRow;
  /** Undefined where nothing can be sent there. */
  readonly aim?: Aim | undefined;
}

/** Where a probe goes. */
export interface Aim {
  readonly source: Source;
  readonly protocol: "tcp" | "udp";
  readonly family: Family;
  /** Empty for an address of the host's own. */
  readonly address: string;
  readonly port: number;
  /** The container that it comes to, in its namespace. */
  readonly leadsTo?: { readonly containerId: string; readonly netnsPath: string; readonly port: number };
}

type Finding = Pick<AuditRow, "verdict" | "why">;
export type Source = { readonly name: string; readonly network?: NetworkRecord };

const open = (why: string): Finding => ({ verdict: "open", why });
const closed = (why: string): Finding => ({ verdict: "closed", why });

export function auditClaims(o: AuditInput): Claim[] {
  const live = o.networks.filter(
    ({ configOnly, driver }) => !configOnly && !["host", "null"].includes(driver),
  );
  const sources: Source[] = [
    { name: "outside" },
    { name: "host" },
    ...live.map((network) => ({ name: `network ${network.name}`, network })),
  ];
  return sources.flatMap((source) => [
    ...o.host.barred.flatMap((port) => engineClaims(source, port)),
    ...o.sandboxes.flatMap((sandbox) => sandboxClaims(source, sandbox, o)),
  ]);
}

function engineClaims(source: Source, port: number): Claim[] {
  const finding =
    source.network?.driver === "bridge"
      ? closed("the engine keeps containers from its own ports (set barred)")
      : open("the engine listens there; the host's own filter decides");
  const row = { from: source.name, to: "the engine", address: `the host:${port}/tcp`, ...finding };
  return [{ row, aim: { source, protocol: "tcp", family: 4, address: "", port } }];
}

function sandboxClaims(source: Source, sandbox: SandboxRecord, o: AuditInput): Claim[] {
  const to = `container ${sandbox.containerName}`;
  if (sandbox.joins !== undefined) return [];
  const listening = o.listening(sandbox.containerId);
  const { containerId, netnsPath } = sandbox;
  if (netnsPath === undefined) {
    const row = {
      ...{ from: source.name, to, address: "the host's, any port" },
      ...open("it shares the host's network; the host's own filter decides"),
    };
    return source.network === undefined ? [{ row }] : [];
  }
  const published = sandbox.ports
    .filter(({ hostPort }) => hostPort !== 0)
    .map((port): Claim => {
      const { containerPort, hostIp, hostPort, protocol } = port;
      const finding = publishedFinding(source, port, { ...o.host, isRelayed: isLedByHand(sandbox, port) });
      const address = isAnywhere(hostIp) ? "" : hostIp;
      return {
        row: { from: source.name, to, address: `${bracketed(hostIp)}:${hostPort}/${protocol}`, ...finding },
        ...(protocol !== "sctp" && {
          aim: {
            ...{ source, protocol, family: familyOf(hostIp), address, port: hostPort },
            leadsTo: { containerId, netnsPath, port: containerPort },
          },
        }),
      };
    });
  const own = sandbox.endpoints.flatMap((endpoint) =>
    endpointClaims(source, { ...sandbox, netnsPath }, endpoint, { ...o, to, listening }),
  );
  return [...published, ...own];
}

/** No way of the kernel's: a relay of this host's takes it, as any service of the host. */
function isLedByHand({ publishedOn }: SandboxRecord, port: PublishedPort): boolean {
  return isRelayed(port) && publishedOn?.[6] === undefined;
}

function publishedFinding(
  { name, network }: Source,
  port: PublishedPort,
  host: HostFacts & { readonly isRelayed: boolean },
): Finding {
  const leads = `published: leads to port ${port.containerPort} of the container`;
  if (name === "host") return open(leads);
  if (port.hostIp.startsWith("127.") || port.hostIp === "::1")
    return closed("published on the host's loopback only");
  if (network !== undefined && !network[familyOf(port.hostIp) === 4 ? "ipv4" : "ipv6"])
    return closed(`the network has no IPv${familyOf(port.hostIp)}`);
  if (network?.internal === true)
    return closed(`the network is internal (set ${host.isRelayed ? "relayedany" : "internal"})`);
  if (network !== undefined && network.driver !== "bridge")
    return open(`${leads}; the network of ${network.device} decides whether it reaches the host`);
  const [drop] = host.drops;
  if (host.isRelayed)
    return host.filters
      ? { verdict: "host filter", why: `${leads} by a relay, if the host's own input rules let that port in` }
      : open(`${leads} by a relay`);
  if (host.mode === "strict" && network === undefined && drop !== undefined)
    return { verdict: "host filter", why: `${leads}, unless the host drops it: ${drop}` };
  if (host.mode === "strict" && host.filters)
    return { verdict: "host filter", why: `${leads}, if the host's own input rules let that port in` };
  return open(host.mode === "docker" ? `${leads}, past the host's own filter` : leads);
}

interface EndpointContext extends Pick<AuditInput, "networks"> {
  readonly to: string;
  readonly listening: readonly string[];
}

function endpointClaims(
  source: Source,
  sandbox: SandboxRecord & { readonly netnsPath: string },
  endpoint: Endpoint,
  o: EndpointContext,
): Claim[] {
  const network = o.networks.find(({ id }) => id === endpoint.networkId);
  if (network === undefined) return [];
  const ports = o.listening.length > 0 ? o.listening : ["nothing listens"];
  return addressesOf(endpoint).flatMap((address) =>
    ports.map((port): Claim => {
      const finding = ownFinding(source, network, { address, sandbox, port });
      return {
        row: { from: source.name, to: o.to, address: `${bracketed(address)}:${port}`, ...finding },
        aim: ownAim(source, sandbox, address, port),
      };
    }),
  );
}

function ownAim(
  source: Source,
  { containerId, netnsPath }: SandboxRecord & { readonly netnsPath: string },
  address: string,
  listening: string,
): Aim | undefined {
  const [, digits = "", protocol] = /^(\d+)\/(tcp|udp)$/.exec(listening) ?? [];
  if (protocol !== "tcp" && protocol !== "udp") return undefined;
  const port = Number(digits);
  const leadsTo = { containerId, netnsPath, port };
  return { source, protocol, family: familyOf(address), address, port, leadsTo };
}

function ownFinding(
  { name, network: from }: Source,
  network: NetworkRecord,
  o: { readonly address: string; readonly sandbox: SandboxRecord; readonly port: string },
): Finding {
  if (network.driver !== "bridge")
    return from?.id === network.id || from === undefined
      ? open(
          `${network.driver}: the container is on the network of ${network.device} itself, past the engine's rules`,
        )
      : closed("networks are closed to one another");
  const { icc, modes, trusted } = bridgeOptions(network.options);
  const mode = modes[familyOf(o.address)];
  if (from?.id === network.id)
    return icc
      ? open(`both are on the network ${network.name}`)
      : closed("the network keeps its containers apart (enable_icc=false)");
  if (name === "host")
    return mode === "isolated"
      ? closed("the host has no address there (isolated)")
      : open("the host has an address on the bridge");
  if (network.internal || from?.internal === true) return closed("an internal network (set internal)");
  if (mode === "nat-unprotected")
    return open("the network is open at all ports (gateway mode nat-unprotected)");
  const isPublished = o.sandbox.ports.some(
    (each) => each.hostPort === 0 && `${each.containerPort}/${each.protocol}` === o.port,
  );
  if (mode === "routed" && isPublished) return open("published at its own address (gateway mode routed)");
  if (from === undefined && trusted.length > 0)
    return {
      verdict: "host filter",
      why: `open from the interfaces ${trusted.join(", ")}, closed from others`,
    };
  return closed(
    from === undefined
      ? "no rule lets anything in but what is published (chain forward)"
      : "networks are closed to one another (chain forward)",
  );
}
