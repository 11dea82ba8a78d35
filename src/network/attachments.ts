/**
 * Containers on networks.
 * Owns: their namespaces, endpoints, addresses and published ports. Promises: a record is written before what it names is
 * acquired; attach, detach and disconnect are idempotent; a step that fails leaves nothing that a detach does not find.
 * Never: decides which networks there are.
 */
import { closeSync, openSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { hostHasIpv6 } from "#kernel/network/port-reservation.ts";
import type { ContainerConfig, ContainerRecord, EndpointSettings, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { type Family, families, familyOf } from "#spec/ip.ts";
import { addressIn, type Endpoint, type NetworkRecord, type PublishedPort } from "#spec/network.ts";
import type { NetworkDriver } from "./drivers/driver.ts";
import { planEndpoint } from "./drivers/endpoint-plan.ts";
import type { Firewall } from "./firewall/firewall.ts";
import { PublishedPorts } from "./firewall/published.ts";
import type { Announcements } from "./links/announcements.ts";
import { configureInterfaces, type InterfaceExtras } from "./links/interfaces.ts";
import type { Namespaces } from "./links/namespaces.ts";
import { type DnsDefaults, dnsOf } from "./names/container-files.ts";
import type { NameServers } from "./names/name-server.ts";
import { setsNdots } from "./names/resolv-conf.ts";
import { endpointOptions, gatewayOrder } from "./records/endpoint-settings.ts";
import type { NetworkTable } from "./records/network-table.ts";
import type { SandboxRecord, SandboxTable } from "./records/sandbox-table.ts";
import type { Relays } from "./relays/relays.ts";
import { isRelayed, type PortPlace, portRequests, settlePorts } from "./rules/ports.ts";
import type { GatewayMode, PublishedTarget } from "./rules/ruleset.ts";

export interface AttachmentsParts {
  readonly networks: NetworkTable;
  readonly sandboxes: SandboxTable;
  readonly namespaces: Namespaces;
  readonly firewall: Firewall;
  readonly nameServers: Pick<NameServers, "open" | "close">;
  readonly dns: DnsDefaults;
  readonly driver: (network: Pick<NetworkRecord, "driver">) => NetworkDriver;
  readonly announcements: Pick<Announcements, "plan">;
  /** Undefined: ports of IPv6 lead to containers with IPv6 only, and never from the host's loopback. */
  readonly relays: Relays | undefined;
  /** Told of what could not be put right. */
  readonly report: (fault: Fault) => void;
}

export interface AttachRequest {
  readonly containerId: string;
  readonly name: string;
  readonly hostname: string;
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  /** By network: those it shall be on. */
  readonly endpoints: ContainerRecord["endpoints"];
  readonly joins?: string | undefined;
  readonly signal: AbortSignal;
}

type Member = Pick<AttachRequest, "containerId" | "name" | "hostname" | "config" | "host">;

export class Attachments {
  readonly #parts: AttachmentsParts;
  readonly #ports: PublishedPorts;
  /** By container: endpoints that are recorded and not made yet, and what was asked of them. */
  readonly #unplugged = new Map<string, readonly (readonly [Endpoint, EndpointSettings])[]>();

  constructor(parts: AttachmentsParts) {
    this.#parts = parts;
    const ownerOf = (port: PublishedPort) => this.#holderOf(port);
    this.#ports = new PublishedPorts({ ownerOf, relays: parts.relays });
  }

  /**
   * Decides and records all that the container has: its namespace, addresses and ports. Idempotent by container.
   * `plug` makes it.
   */
  attach(o: AttachRequest): SandboxRecord {
    const { sandboxes, namespaces } = this.#parts;
    const known = sandboxes.get(o.containerId);
    if (known !== undefined) return known;
    if (o.joins !== undefined) return this.#join(o, o.joins);
    const wanted = Object.entries(o.endpoints).map(
      ([name, settings]) => [this.#network(name, o.host.NetworkMode), settings] as const,
    );
    const sharesHost = wanted.some(([{ driver }]) => driver === "host");
    const alone = wanted.find(([network]) => this.#parts.driver(network).single);
    if (alone !== undefined && wanted.length > 1)
      throw new Fault(
        "invalid",
        `container cannot be connected to multiple networks with one of the networks in private (${alone[0].name}) mode`,
      );
    const endpoints = this.#endpoints(o, wanted);
    if (sharesHost) return sandboxes.put({ ...blank(o), endpoints });
    const { opened } = this.#open(o, endpoints);
    try {
      const netnsPath = namespaces.take();
      this.#unplugged.set(
        o.containerId,
        endpoints.map((endpoint, index) => [endpoint, wanted[index]?.[1] ?? {}]),
      );
      return sandboxes.put(this.#resolving({ ...blank(o), netnsPath, endpoints, ...opened }, o));
    } catch (error) {
      this.#unplugged.delete(o.containerId);
      this.#ports.release(o.containerId);
      throw error;
    }
  }

  /** Makes what `attach` recorded: from here on the container has its network. Idempotent; a detach takes back also a half. */
  plug(containerId: string): void {
    const endpoints = this.#unplugged.get(containerId);
    const record = this.#parts.sandboxes.get(containerId);
    if (endpoints === undefined || record === undefined) return;
    this.#plug(record, endpoints);
    this.#unplugged.delete(containerId);
    this.#parts.firewall.publish(targetsOf(record));
    this.#ports.lead(containerId, targetsOf(record));
    this.#serveNames(record);
  }

  /** Whether all that the record speaks of is there. */
  isPlugged({ containerId }: Pick<SandboxRecord, "containerId">): boolean {
    return !this.#unplugged.has(containerId);
  }

  #network(name: string, mode?: string): NetworkRecord {
    const { networks } = this.#parts;
    const network = networks.named(name) ?? networks.withId(name);
    if (network === undefined) {
      const missing = `network ${name} not found`;
      const text =
        name === mode ? `could not find a network matching network mode ${mode}: ${missing}` : missing;
      throw new Fault("not-found", text);
    }
    if (network.configOnly)
      throw new Fault(
        "denied",
        `configuration-only network ${network.name} cannot be used by containers: make a network with --config-from ${network.name}`,
      );
    return network;
  }

  #join(o: AttachRequest, joins: string): SandboxRecord {
    const other = this.#parts.sandboxes.get(joins);
    if (other === undefined)
      throw new Fault("conflict", `cannot join network of a non running container: ${joins}`);
    const { netnsPath } = other;
    return this.#parts.sandboxes.put({
      ...blank(o),
      joins,
      ...(netnsPath !== undefined && { netnsPath }),
    });
  }

  #endpoints(o: Member, wanted: readonly (readonly [NetworkRecord, EndpointSettings])[]): Endpoint[] {
    const endpoints: Endpoint[] = [];
    for (const [network, settings] of wanted) endpoints.push(this.#endpoint(o, network, settings, endpoints));
    return endpoints;
  }

  #endpoint(
    member: Member,
    network: NetworkRecord,
    settings: EndpointSettings,
    others: readonly Endpoint[],
  ): Endpoint {
    const { driver, sandboxes } = this.#parts;
    return planEndpoint({ member, network, settings, others }, driver(network), sandboxes.leases);
  }

  /**
   * Takes the ports that are not `open` yet, on the ways out: answers to them leave by these.
   * @returns With what nobody asks for any more.
   */
  #open(o: Member, endpoints: readonly Endpoint[], open: readonly PublishedPort[] = []) {
    const { place, publishedOn } = this.#portPlace(endpoints);
    const requests = place === undefined ? [] : portRequests(o.config, o.host, place);
    const { kept, wanted, gone } = settlePorts(open, requests);
    const ports = [...kept, ...this.#ports.take(o.containerId, o.name, wanted)];
    return { opened: { ports, publishedOn }, gone };
  }

  /** Of each family: the way out, where that is a network that can have ports. */
  #portPlace(endpoints: readonly Endpoint[]): {
    place: PortPlace | undefined;
    publishedOn: NonNullable<SandboxRecord["publishedOn"]>;
  } {
    const modes: Partial<Record<Family, GatewayMode>> = {};
    const publishedOn: { 4?: string; 6?: string } = {};
    let hostIp: string | undefined;
    for (const family of families) {
      const [first] = gatewayOrder(endpoints, family);
      const network = this.#parts.networks.withId(first?.networkId ?? "");
      const publishing = network && this.#parts.driver(network).publishing(network);
      if (first === undefined || network === undefined || publishing === undefined) continue;
      if (addressIn(first, family) === "") continue;
      modes[family] = publishing.modes[family];
      publishedOn[family] = network.id;
      hostIp ??= publishing.hostIp;
    }
    if (hostIp === undefined) return { place: undefined, publishedOn };
    const relays = this.#parts.relays !== undefined;
    return { place: { hostIp, modes, relays, hostHasIpv6: hostHasIpv6() }, publishedOn };
  }

  #plug(
    { containerId, netnsPath = "", endpoints }: SandboxRecord,
    added: readonly (readonly [Endpoint, EndpointSettings])[],
  ): void {
    if (added.every(([{ interfaceName }]) => interfaceName === "")) return;
    const netns = openSync(netnsPath, "r");
    try {
      for (const [endpoint] of added) {
        const network = this.#parts.networks.get(endpoint.networkId);
        this.#parts.driver(network).plug(network, endpoint, netns);
      }
    } finally {
      closeSync(netns);
    }
    const configured = added.map(([endpoint, settings]) => [endpoint, extrasOf(settings)] as const);
    configureInterfaces(netnsPath, configured, endpoints);
    const isThere = () => this.#parts.sandboxes.get(containerId)?.netnsPath === netnsPath;
    this.#parts.announcements.plan(
      netnsPath,
      added.map(([endpoint]) => endpoint),
      isThere,
    );
  }

  /** With how its questions for names are answered: from the first network of a user's on, until the end. */
  #resolving(record: SandboxRecord, { host }: Pick<Member, "host">): SandboxRecord {
    if (record.resolver !== undefined || record.netnsPath === undefined) return record;
    if (record.endpoints.every(({ dnsNames: names }) => names.length === 0)) return record;
    const asked = dnsOf(host, this.#parts.dns);
    return { ...record, resolver: { servers: asked.servers, ndots: setsNdots(asked.options) } };
  }

  #serveNames({ containerId, netnsPath, resolver }: SandboxRecord): void {
    if (resolver !== undefined && netnsPath !== undefined)
      this.#parts.nameServers.open(containerId, netnsPath);
  }

  /** While the container runs. @throws Fault `denied` when it is on the network already. */
  connect(o: Member, network: NetworkRecord, settings: EndpointSettings): SandboxRecord | undefined {
    const { sandboxes } = this.#parts;
    const before = sandboxes.get(o.containerId);
    if (before === undefined) return undefined;
    if (before.endpoints.some(({ networkId }) => networkId === network.id))
      throw new Fault("denied", `endpoint with name ${o.name} already exists in network ${network.name}`);
    this.#network(network.name);
    // What stands for no network at all gives way.
    const kept = before.endpoints.filter(({ interfaceName }) => interfaceName !== "");
    const endpoint = this.#endpoint(o, network, settings, kept);
    const record = sandboxes.put(this.#resolving({ ...before, endpoints: [...kept, endpoint] }, o));
    try {
      this.#plug(record, [[endpoint, settings]]);
      this.#serveNames(record);
      return this.#settlePorts(before, record, o);
    } catch (error) {
      this.#parts.driver(network).unplug(network, endpoint, record.netnsPath ?? "");
      sandboxes.put(before);
      throw error;
    }
  }

  /** While the container runs. False when it is not on the network. */
  disconnect(o: Member, network: NetworkRecord): boolean {
    const { sandboxes } = this.#parts;
    const before = sandboxes.get(o.containerId);
    const endpoint = before?.endpoints.find(({ networkId }) => networkId === network.id);
    if (before === undefined || endpoint === undefined) return false;
    const endpoints = before.endpoints.filter((each) => each !== endpoint);
    this.#parts.driver(network).unplug(network, endpoint, before.netnsPath ?? "");
    const record = sandboxes.put({ ...before, endpoints });
    if (record.netnsPath !== undefined && endpoint.interfaceName !== "")
      configureInterfaces(record.netnsPath, [], endpoints);
    this.#settlePorts(before, record, o);
    return true;
  }

  /**
   * Ports become those its request names, open where the ways out are; what stays as it is stays open all the while.
   * @throws Fault when one of them is taken; nothing changed then.
   */
  republish(o: Member): SandboxRecord | undefined {
    const record = this.#parts.sandboxes.get(o.containerId);
    if (record === undefined || record.joins !== undefined || record.netnsPath === undefined) return record;
    return this.#settlePorts(record, record, o);
  }

  #settlePorts(before: SandboxRecord, record: SandboxRecord, o: Member): SandboxRecord {
    const { firewall, sandboxes } = this.#parts;
    const { opened, gone } = this.#open(o, record.endpoints, record.ports);
    const settled = sandboxes.put({ ...record, ...opened });
    const [was, is] = [targetsOf(before), targetsOf(settled)];
    firewall.unpublish(was.filter((each) => !is.some((other) => isDeepStrictEqual(each, other))));
    firewall.publish(is.filter((each) => !was.some((other) => isDeepStrictEqual(each, other))));
    this.#ports.lead(o.containerId, targetsOf(settled));
    this.#ports.release(o.containerId, gone);
    return settled;
  }

  /** Its names on networks change with it. */
  rename(containerId: string, name: string): void {
    const { sandboxes } = this.#parts;
    const record = sandboxes.get(containerId);
    if (record === undefined) return;
    const renamed = (names: readonly string[]) =>
      names.map((each) => (each === record.containerName ? name : each));
    const endpoints = record.endpoints.map((each) => ({ ...each, dnsNames: renamed(each.dnsNames) }));
    sandboxes.put({ ...record, containerName: name, endpoints });
  }

  /** Gives back what the container has. Idempotent. @returns The endpoints it had. */
  detach(containerId: string): readonly Endpoint[] {
    const { sandboxes, namespaces, firewall } = this.#parts;
    const record = sandboxes.get(containerId);
    if (record === undefined) return [];
    this.#unplugged.delete(containerId);
    this.#ports.release(containerId);
    this.#parts.nameServers.close(containerId);
    firewall.unpublish(targetsOf(record));
    if (record.joins === undefined && record.netnsPath !== undefined) {
      // Interfaces go with their namespace a moment later, unless somebody who joined keeps that alive; one that lives on
      // another keeps its address of hardware from the next until it is gone.
      const shared = sandboxes.list().some(({ joins }) => joins === containerId);
      this.#unplug(record, shared ? record.endpoints : record.endpoints.filter(livesOnAnother));
      namespaces.remove(record.netnsPath);
    }
    sandboxes.delete(containerId);
    return record.endpoints;
  }

  #unplug({ netnsPath = "" }: SandboxRecord, endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) {
      const network = this.#parts.networks.withId(endpoint.networkId);
      if (network !== undefined) this.#parts.driver(network).unplug(network, endpoint, netnsPath);
    }
  }

  /** For an engine that comes back: the ports of those that live are taken again. */
  resume(): void {
    const { sandboxes, report } = this.#parts;
    for (const record of sandboxes.list()) {
      const { containerId, ports } = record;
      this.#serveNames(record);
      for (const { hostIp, hostPort } of this.#ports.retake(containerId, ports))
        report(
          new Fault(
            "conflict",
            `the port ${hostIp}:${hostPort} of container ${containerId} was taken by another program while the engine was away`,
          ),
        );
      this.#ports.lead(containerId, targetsOf(record));
    }
  }

  #holderOf(port: PublishedPort): string | undefined {
    const holder = this.#parts.sandboxes
      .list()
      .find(({ ports }) =>
        ports.some((each) => each.hostPort === port.hostPort && each.protocol === port.protocol),
      );
    return holder?.containerName;
  }

  /** Ports are let go; networks of running containers stay. */
  releasePorts(): void {
    this.#ports.releaseAll();
  }
}

function livesOnAnother({ hostInterface, interfaceName }: Endpoint): boolean {
  return interfaceName !== "" && hostInterface === "";
}

function blank({ containerId, name, hostname }: Member): SandboxRecord {
  return { containerId, containerName: name, hostname, endpoints: [], ports: [] };
}

function extrasOf(settings: EndpointSettings): InterfaceExtras {
  const { sysctls } = endpointOptions(settings.DriverOpts ?? {});
  return { linkLocal: settings.IPAMConfig?.LinkLocalIPs ?? [], sysctls };
}

/** Where a container's ports lead: those of IPv6 to its address of IPv4 where it has no other. */
export function targetsOf({ ports, endpoints, publishedOn }: SandboxRecord): PublishedTarget[] {
  const at = (family: Family) => {
    const endpoint = endpoints.find(({ networkId }) => networkId === publishedOn?.[family]);
    return endpoint === undefined ? "" : addressIn(endpoint, family);
  };
  return ports.flatMap((port) => {
    const address = at(familyOf(port.hostIp)) || (isRelayed(port) ? at(4) : "");
    return address === "" ? [] : [{ port, address }];
  });
}
