/**
 * Networks of containers, as the engine sees them.
 * Owns: which networks there are, and everything containers have of them: one nftables table, bridges, namespaces, addresses
 * and ports. Promises: a record is written before what it names is acquired, and deleted after it was given back; several
 * engines on one host do not touch one another. Never: another program's rules, routes or links.
 */
import type { Finding } from "#spec/check.ts";
import type { ContainerRecord, EndpointSettings } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { Endpoint, NameTrace, NetworkCreateRequest, NetworkRecord, Sandbox } from "#spec/network.ts";
import type { AttachRequest } from "./attachments.ts";
import { type Audit, audit } from "./firewall/auditor.ts";
import { forwardIpv4 } from "./links/forwarding.ts";
import { containerFiles, editNameFiles, noDns, textOf } from "./names/container-files.ts";
import { traceName } from "./names/name-trace.ts";
import { checkNetworks } from "./network-check.ts";
import { type NetworkParts, type NetworksOptions, networkParts } from "./network-parts.ts";
import { defaultNetwork } from "./predefined.ts";
import { checkEndpoint } from "./records/endpoint-settings.ts";

export type { AttachRequest, NetworksOptions };

export class Networks implements AsyncDisposable {
  readonly #o: NetworksOptions;
  readonly #parts: NetworkParts;

  private constructor(o: NetworksOptions) {
    this.#o = o;
    this.#parts = networkParts(o);
  }

  /** Decides the default networks; nothing is made before `prepare`. @throws Fault `invalid` for a bad `bip`. */
  static async open(o: NetworksOptions): Promise<Networks> {
    return new Networks(o);
  }

  /** See the engine's part of that name. */
  async prepare(live: ReadonlySet<string>): Promise<void> {
    forwardIpv4();
    const kept = this.#parts.sandboxes.list().filter(({ containerId }) => live.has(containerId));
    for (const { containerId } of this.#parts.sandboxes.list())
      if (!live.has(containerId)) this.#parts.attachments.detach(containerId);
    this.#parts.firewall.start();
    this.#parts.made.prepare();
    this.#parts.attachments.resume();
    const ends = new Set(
      kept.flatMap(({ endpoints }) => endpoints.map(({ hostInterface }) => hostInterface)),
    );
    for (const network of this.#parts.networks.list())
      this.#parts.drivers.get(network.driver)?.sweep(network, ends);
    this.#parts.namespaces.sweep(new Set(kept.map(({ netnsPath }) => netnsPath ?? "")));
    this.#parts.namespaces.fill();
    this.#parts.routes.start();
  }

  /** Records against what is on this host. `isKnown` tells ids of containers. */
  findings(o: {
    readonly isKnown: (id: string) => boolean;
    readonly looked: () => void;
  }): AsyncIterable<Finding> {
    return checkNetworks({
      networks: () => this.#parts.networks.list(),
      sandboxes: this.#parts.sandboxes,
      namespaces: this.#parts.namespaces,
      firewall: this.#parts.firewall,
      driver: (name) => this.#parts.made.driver(name),
      detach: (containerId) => void this.#parts.attachments.detach(containerId),
      isPlugged: (sandbox) => this.#parts.attachments.isPlugged(sandbox),
      ...o,
    });
  }

  /** TCP ports of this host that containers must not reach, whatever address they try. */
  bar(ports: readonly number[]): void {
    this.#parts.firewall.bar(ports);
  }

  /** What is in the way of a network, in sentences. */
  warnings(network: NetworkRecord): string[] {
    const routed = this.#parts.drivers.get(network.driver)?.routed === true && !network.configOnly;
    return routed ? this.#parts.routes.warnings(network) : [];
  }

  /** @returns A warning, empty for none. @throws Fault in dockerd's words. */
  async create(request: NetworkCreateRequest): Promise<{ network: NetworkRecord; warning: string }> {
    return this.#parts.made.create(request);
  }

  /** @throws Fault `not-found`, `denied` for a predefined network and while containers are on it. */
  async remove(reference: string): Promise<NetworkRecord> {
    return this.#parts.made.remove(reference);
  }

  async attach(o: AttachRequest): Promise<Sandbox> {
    o.signal.throwIfAborted();
    return await this.#withPortsFree(() => this.#parts.attachments.attach(o));
  }

  /** Makes what `attach` recorded. Idempotent. */
  async plug(containerId: string): Promise<void> {
    this.#parts.attachments.plug(containerId);
  }

  /** @returns The endpoint; undefined when the container does not run. */
  async connect(
    o: Omit<AttachRequest, "signal" | "endpoints">,
    network: NetworkRecord,
    settings: EndpointSettings,
  ): Promise<Sandbox | undefined> {
    return await this.#withPortsFree(() => this.#parts.attachments.connect(o, network, settings));
  }

  /** False when it was not on it. */
  async disconnect(o: Omit<AttachRequest, "signal" | "endpoints">, network: NetworkRecord): Promise<boolean> {
    return await this.#withPortsFree(() => this.#parts.attachments.disconnect(o, network));
  }

  /** Idempotent. @returns What it had. */
  async detach(containerId: string): Promise<readonly Endpoint[]> {
    return await this.#withPortsFree(() => this.#parts.attachments.detach(containerId));
  }

  /** What `work` gives back is free for others when it is over. */
  async #withPortsFree<R>(work: () => R): Promise<R> {
    try {
      return work();
    } finally {
      await this.#parts.relays?.settled();
    }
  }

  sandbox(containerId: string): Sandbox | undefined {
    return this.#parts.sandboxes.get(containerId);
  }

  /** Running containers on a network. */
  members(networkId: string): { containerId: string; name: string; endpoint: Endpoint }[] {
    return [...this.#parts.sandboxes.members(networkId)].map(([containerId, endpoint]) => ({
      containerId,
      name: this.#parts.sandboxes.get(containerId)?.containerName ?? "",
      endpoint,
    }));
  }

  list(): NetworkRecord[] {
    return this.#parts.networks.list();
  }

  /** By id, name or the beginning of an id. @throws Fault `not-found`. */
  get(reference: string): NetworkRecord {
    return this.#parts.networks.get(reference);
  }

  /** By name or id. */
  find(reference: string): NetworkRecord | undefined {
    return this.#parts.networks.withId(reference) ?? this.#parts.networks.named(reference);
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
    return await this.#withPortsFree(() => this.#parts.attachments.republish(o));
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
    const own = this.#parts.sandboxes.get(containerId);
    const record = own?.joins === undefined ? own : this.#parts.sandboxes.get(own.joins);
    if (record === undefined) throw new Fault("conflict", `container ${containerId} is not running`);
    const [hosts, resolvConf] = await Promise.all([textOf(o.files.hosts), textOf(o.files.resolvConf)]);
    const parts = { names: this.#parts.sandboxes.names, resolver: this.#parts.resolver };
    return await traceName(record, { ...o, hosts, resolvConf }, parts);
  }

  /** See the engine's part of that name. */
  async audit(o: { readonly probe: boolean; readonly signal: AbortSignal }): Promise<Audit> {
    const [networks, sandboxes] = [this.#parts.networks.list(), this.#parts.sandboxes.list()];
    const { facts: host } = this.#parts.firewall;
    const used = () => this.#parts.made.used();
    return await audit({ networks, sandboxes, host, used, namespaces: this.#parts.namespaces }, o);
  }

  /** A running container has another name from now on. */
  rename(containerId: string, name: string): void {
    this.#parts.attachments.rename(containerId, name);
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
    this.#parts.nameServers[Symbol.dispose]();
    this.#parts.announcements[Symbol.dispose]();
    this.#parts.namespaces[Symbol.dispose]();
    this.#parts.attachments.releasePorts();
    await this.#parts.relays?.settled();
    this.#parts.relays?.[Symbol.dispose]();
    this.#parts.firewall[Symbol.dispose]();
    this.#parts.routes[Symbol.dispose]();
    for (const driver of this.#parts.drivers.values()) driver[Symbol.dispose]();
  }
}
