/**
 * Networks of containers, as the engine sees them.
 * Owns: which networks there are, and everything containers have of them: one nftables table, bridges, namespaces, addresses
 * and ports. Promises: a record is written before what it names is acquired, and deleted after it was given back; several
 * engines on one host do not touch one another. Never: another program's rules, routes or links.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { machineId } from "#kernel/host.ts";
import type { Finding } from "#spec/check.ts";
import type { ContainerRecord, EndpointSettings } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { families } from "#spec/ip.ts";
import type {
  AuditRow,
  Endpoint,
  NameTrace,
  NetworkCreateRequest,
  NetworkRecord,
  Sandbox,
} from "#spec/network.ts";
import type { Records } from "#store/records.ts";
import { Attachments, type AttachRequest, targetsOf } from "./attachments.ts";
import { BridgeDriver, bridged } from "./drivers/bridge-driver.ts";
import type { NetworkDriver } from "./drivers/driver.ts";
import { ParentDriver } from "./drivers/parent-driver.ts";
import { hostDriver, nullDriver } from "./drivers/plain-drivers.ts";
import { auditRows } from "./firewall/audit.ts";
import { listeningPorts, probeRows } from "./firewall/audit-probe.ts";
import { Firewall } from "./firewall/firewall.ts";
import { forwardIpv4 } from "./links/forwarding.ts";
import { Namespaces } from "./links/namespaces.ts";
import { MadeNetworks } from "./made-networks.ts";
import {
  containerFiles,
  type DnsDefaults,
  editNameFiles,
  hostServers,
  noDns,
  textOf,
} from "./names/container-files.ts";
import { DnsForwarder } from "./names/dns-forwarder.ts";
import { NameResolver } from "./names/name-resolver.ts";
import { NameServers } from "./names/name-server.ts";
import { traceName } from "./names/name-trace.ts";
import { checkNetworks } from "./network-check.ts";
import { type DefaultBridge, decidePredefined, defaultNetwork } from "./predefined.ts";
import { checkEndpoint } from "./records/endpoint-settings.ts";
import { type AddressPool, completePools, localPool } from "./records/ipam.ts";
import { NetworkTable } from "./records/network-table.ts";
import { RouteGuard } from "./records/route-guard.ts";
import { SandboxTable } from "./records/sandbox-table.ts";
import { Relays } from "./relays/relays.ts";
import type { FirewallMode } from "./rules/host-rules.ts";

export type { AttachRequest };

export interface NetworksOptions {
  readonly records: Records;
  /** For namespaces; a reboot ends them. */
  readonly execRoot: string;
  /** Of bridges and table: no other engine's; at most 12 letters and digits. */
  readonly name: string;
  readonly bridge?: DefaultBridge | undefined;
  readonly addressPools?: readonly AddressPool[] | undefined;
  /** By driver: options of networks that do not say otherwise. */
  readonly networkDefaults?: Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;
  /** False: IPv6 is left to other rules, and nothing of it is translated or kept apart. */
  readonly ip6tables?: boolean | undefined;
  readonly dns?: DnsDefaults | undefined;
  /** What `host-gateway` means; the default bridge's own addresses when absent. */
  readonly hostGateways?: readonly string[] | undefined;
  /** The program of the thread that relays what the kernel cannot lead to containers (`relays.ts`); absent: nothing does. */
  readonly relayThread?: URL | undefined;
  /** Whether the host's own filter decides about published ports too; `strict` when absent. */
  readonly firewall?: FirewallMode | undefined;
  readonly now: () => string;
  /** Told of what could not be put right. */
  readonly report: (fault: Fault) => void;
  /** Told of a route of the host that appeared in the way of a network. */
  readonly overlapped?: ((network: NetworkRecord, warning: string) => void) | undefined;
}

export class Networks implements AsyncDisposable {
  readonly #o: NetworksOptions;
  readonly #networks: NetworkTable;
  readonly #sandboxes: SandboxTable;
  readonly #namespaces: Namespaces;
  readonly #firewall: Firewall;
  readonly #drivers: ReadonlyMap<string, NetworkDriver>;
  readonly #made: MadeNetworks;
  readonly #resolver: NameResolver;
  readonly #nameServers: NameServers;
  readonly #attachments: Attachments;
  readonly #relays: Relays | undefined;
  readonly #routes: RouteGuard;

  private constructor(o: NetworksOptions) {
    this.#o = o;
    this.#networks = new NetworkTable(o.records);
    this.#sandboxes = new SandboxTable(o.records);
    this.#namespaces = new Namespaces(join(o.execRoot, "netns"));
    this.#firewall = new Firewall({
      table: `wherry-${o.name}`,
      content: () => ({
        families: o.ip6tables === false ? [4] : families,
        networks: this.#networks.list().filter(isBridged).map(bridged),
        published: this.#sandboxes
          .list()
          .filter((each) => this.#attachments.isPlugged(each))
          .flatMap(targetsOf),
      }),
      mode: o.firewall ?? "strict",
      // The beginning of all names that `BridgeDriver.device` makes up.
      bridgePrefix: `wh${o.name.slice(0, 5)}`,
      report: o.report,
    });
    const pools = completePools(o.addressPools, localPool(ownDigest(o.name)));
    const { names } = this.#sandboxes;
    this.#resolver = new NameResolver({ names, forwarder: new DnsForwarder(), hostServers });
    this.#nameServers = new NameServers({
      resolver: this.#resolver,
      sandbox: (containerId) => this.#sandboxes.get(containerId),
      report: o.report,
    });
    const drivers = [
      new BridgeDriver(o.name, this.#firewall),
      new ParentDriver("macvlan"),
      new ParentDriver("ipvlan"),
      hostDriver,
      nullDriver,
    ];
    this.#drivers = new Map(drivers.map((driver) => [driver.name, driver]));
    this.#made = new MadeNetworks({
      ...{ table: this.#networks, sandboxes: this.#sandboxes, drivers: this.#drivers, pools },
      defaults: o.networkDefaults ?? {},
      ...{ now: o.now, report: o.report },
    });
    const program = o.relayThread;
    this.#relays = program === undefined ? undefined : new Relays({ program, report: o.report });
    this.#attachments = new Attachments({
      relays: this.#relays,
      networks: this.#networks,
      sandboxes: this.#sandboxes,
      namespaces: this.#namespaces,
      firewall: this.#firewall,
      nameServers: this.#nameServers,
      dns: o.dns ?? noDns,
      driver: (network) => this.#made.driver(network.driver),
      report: o.report,
    });
    this.#routes = new RouteGuard({
      networks: () => this.#made.routed(),
      hostRoutes: () => this.#made.usedByHost(),
      told: (network, warning) => {
        o.report(new Fault("conflict", `network ${network.name}: ${warning}`));
        o.overlapped?.(network, warning);
      },
      report: o.report,
    });
    decidePredefined(this.#networks, {
      device: `wh${o.name}`,
      wish: o.bridge ?? { ipv4: {}, options: {} },
      pools,
      used: () => this.#made.usedByHost(),
      created: o.now(),
    });
  }

  /** Decides the default networks; nothing is made before `prepare`. @throws Fault `invalid` for a bad `bip`. */
  static async open(o: NetworksOptions): Promise<Networks> {
    return new Networks(o);
  }

  /** See the engine's part of that name. */
  async prepare(live: ReadonlySet<string>): Promise<void> {
    forwardIpv4();
    const kept = this.#sandboxes.list().filter(({ containerId }) => live.has(containerId));
    for (const { containerId } of this.#sandboxes.list())
      if (!live.has(containerId)) this.#attachments.detach(containerId);
    this.#firewall.start();
    this.#made.prepare();
    this.#attachments.resume();
    const ends = new Set(
      kept.flatMap(({ endpoints }) => endpoints.map(({ hostInterface }) => hostInterface)),
    );
    for (const network of this.#networks.list()) this.#drivers.get(network.driver)?.sweep(network, ends);
    this.#namespaces.sweep(new Set(kept.map(({ netnsPath }) => netnsPath ?? "")));
    this.#namespaces.fill();
    this.#routes.start();
  }

  /** Records against what is on this host. `isKnown` tells ids of containers. */
  findings(o: {
    readonly isKnown: (id: string) => boolean;
    readonly looked: () => void;
  }): AsyncIterable<Finding> {
    return checkNetworks({
      networks: () => this.#networks.list(),
      sandboxes: this.#sandboxes,
      namespaces: this.#namespaces,
      firewall: this.#firewall,
      driver: (name) => this.#made.driver(name),
      detach: (containerId) => void this.#attachments.detach(containerId),
      isPlugged: (sandbox) => this.#attachments.isPlugged(sandbox),
      ...o,
    });
  }

  /** TCP ports of this host that containers must not reach, whatever address they try. */
  bar(ports: readonly number[]): void {
    this.#firewall.bar(ports);
  }

  /** What is in the way of a network, in sentences. */
  warnings(network: NetworkRecord): string[] {
    const routed = this.#drivers.get(network.driver)?.routed === true && !network.configOnly;
    return routed ? this.#routes.warnings(network) : [];
  }

  /** @returns A warning, empty for none. @throws Fault in dockerd's words. */
  async create(request: NetworkCreateRequest): Promise<{ network: NetworkRecord; warning: string }> {
    return this.#made.create(request);
  }

  /** @throws Fault `not-found`, `denied` for a predefined network and while containers are on it. */
  async remove(reference: string): Promise<NetworkRecord> {
    return this.#made.remove(reference);
  }

  async attach(o: AttachRequest): Promise<Sandbox> {
    o.signal.throwIfAborted();
    return await this.#withPortsFree(() => this.#attachments.attach(o));
  }

  /** Makes what `attach` recorded. Idempotent. */
  async plug(containerId: string): Promise<void> {
    this.#attachments.plug(containerId);
  }

  /** @returns The endpoint; undefined when the container does not run. */
  async connect(
    o: Omit<AttachRequest, "signal" | "endpoints">,
    network: NetworkRecord,
    settings: EndpointSettings,
  ): Promise<Sandbox | undefined> {
    return await this.#withPortsFree(() => this.#attachments.connect(o, network, settings));
  }

  /** False when it was not on it. */
  async disconnect(o: Omit<AttachRequest, "signal" | "endpoints">, network: NetworkRecord): Promise<boolean> {
    return await this.#withPortsFree(() => this.#attachments.disconnect(o, network));
  }

  /** Idempotent. @returns What it had. */
  async detach(containerId: string): Promise<readonly Endpoint[]> {
    return await this.#withPortsFree(() => this.#attachments.detach(containerId));
  }

  /** What `work` gives back is free for others when it is over. */
  async #withPortsFree<R>(work: () => R): Promise<R> {
    try {
      return work();
    } finally {
      await this.#relays?.settled();
    }
  }

  sandbox(containerId: string): Sandbox | undefined {
    return this.#sandboxes.get(containerId);
  }

  /** Running containers on a network. */
  members(networkId: string): { containerId: string; name: string; endpoint: Endpoint }[] {
    return [...this.#sandboxes.members(networkId)].map(([containerId, endpoint]) => ({
      containerId,
      name: this.#sandboxes.get(containerId)?.containerName ?? "",
      endpoint,
    }));
  }

  list(): NetworkRecord[] {
    return this.#networks.list();
  }

  /** By id, name or the beginning of an id. @throws Fault `not-found`. */
  get(reference: string): NetworkRecord {
    return this.#networks.get(reference);
  }

  /** By name or id. */
  find(reference: string): NetworkRecord | undefined {
    return this.#networks.withId(reference) ?? this.#networks.named(reference);
  }

  /**
   * A network that is not there shows when the container starts.
   * @throws Fault `invalid` with everything that is wrong with the settings.
   */
  check(reference: string, settings: EndpointSettings): void {
    const network = this.find(reference);
    checkEndpoint(settings, network?.name ?? reference, network);
  }

  /** A running container's ports become those of its request. */
  async republish(o: Omit<AttachRequest, "signal" | "endpoints">): Promise<Sandbox | undefined> {
    return await this.#withPortsFree(() => this.#attachments.republish(o));
  }

  /** See the engine's part of that name. */
  async trace(
    containerId: string,
    o: {
      readonly name: string;
      readonly type: "A" | "AAAA";
      readonly files: { readonly hosts: string; readonly resolvConf: string };
      readonly signal: AbortSignal;
    },
  ): Promise<NameTrace> {
    const own = this.#sandboxes.get(containerId);
    const record = own?.joins === undefined ? own : this.#sandboxes.get(own.joins);
    if (record === undefined) throw new Fault("conflict", `container ${containerId} is not running`);
    const [hosts, resolvConf] = await Promise.all([textOf(o.files.hosts), textOf(o.files.resolvConf)]);
    const parts = { names: this.#sandboxes.names, resolver: this.#resolver };
    return await traceName(record, { ...o, hosts, resolvConf }, parts);
  }

  /** See the engine's part of that name. */
  async audit(o: {
    readonly probe: boolean;
    readonly signal: AbortSignal;
  }): Promise<{ readonly firewall: string; readonly rows: readonly AuditRow[] }> {
    const [networks, sandboxes] = [this.#networks.list(), this.#sandboxes.list()];
    const ports = new Map(
      sandboxes.map(({ containerId, netnsPath }) => [
        containerId,
        netnsPath ? listeningPorts(netnsPath) : [],
      ]),
    );
    const listening = (containerId: string) => ports.get(containerId) ?? [];
    const host = this.#firewall.facts;
    const rows = auditRows({ networks, sandboxes, listening, host });
    const told = o.probe ? await probeRows(rows, { networks, sandboxes, signal: o.signal }) : rows;
    return { firewall: host.mode, rows: told };
  }

  /** A running container has another name from now on. */
  rename(containerId: string, name: string): void {
    this.#attachments.rename(containerId, name);
  }

  /** Changes name files in place, so that the container sees it: only lines the engine wrote. */
  async editFiles(
    record: ContainerRecord,
    o: {
      readonly before: Sandbox;
      readonly after: Sandbox;
      readonly files: { readonly hosts: string; readonly resolvConf: string };
      readonly hostname: string;
    },
  ): Promise<void> {
    await editNameFiles(record, { ...o, dns: this.#o.dns ?? noDns });
  }

  /** The host as containers reach it: at most one address of each family, IPv4 first. */
  hostGateways(): readonly string[] {
    const own = this.get(defaultNetwork).pools.map(({ gateway }) => gateway);
    return this.#o.hostGateways ?? own.filter((each) => each !== "");
  }

  async files(
    record: ContainerRecord,
    sandbox: Sandbox,
    hostname: string,
  ): Promise<{ hosts: string; resolvConf: string }> {
    const gateways = this.hostGateways();
    return await containerFiles(record, sandbox, { hostname, gateways, dns: this.#o.dns ?? noDns });
  }

  /** Gives back what only this engine's life needs; networks of running containers stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#nameServers[Symbol.dispose]();
    this.#namespaces[Symbol.dispose]();
    this.#attachments.releasePorts();
    await this.#relays?.settled();
    this.#relays?.[Symbol.dispose]();
    this.#firewall[Symbol.dispose]();
    this.#routes[Symbol.dispose]();
    for (const driver of this.#drivers.values()) driver[Symbol.dispose]();
  }
}

function isBridged({ driver, configOnly }: NetworkRecord): boolean {
  return driver === "bridge" && !configOnly;
}

/** Neither another machine's nor another engine's of this one. */
function ownDigest(name: string): Uint8Array {
  return createHash("sha256").update(`${machineId()} ${name}`).digest();
}
