/**
 * Networks of containers: the default bridge, the host's own, and none.
 * Owns: one bridge, one nftables table, the namespaces, addresses and ports of running containers.
 * Promises: a record is written before what it names is acquired, so that nothing is lost sight of; attach and detach are
 * idempotent; several engines on one host do not touch one another. Never: another program's rules, routes or links.
 */
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { addAddress, addDefaultRoute, listLinks, setUp } from "#kernel/links.ts";
import { Netlink } from "#kernel/netlink.ts";
import { inNamespace } from "#kernel/netns.ts";
import type { ContainerConfig, ContainerRecord, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { Endpoint, NetworkRecord, PublishedPort, Sandbox } from "#spec/network.ts";
import type { Records, Table } from "#store/records.ts";
import { Bridge, hostSubnets } from "./bridge.ts";
import {
  type AddressPool,
  chooseAddress,
  chooseSubnet,
  defaultPools,
  firstAddress,
  formatSubnet,
  macOf,
  networkOf,
  parseSubnet,
} from "./ipam.ts";
import { extendHosts, isLoopback, renderHosts, renderResolvConf } from "./name-files.ts";
import { Namespaces } from "./namespaces.ts";
import { portRequests } from "./ports.ts";
import { PublishedPorts } from "./published.ts";

export interface NetworksOptions {
  readonly records: Records;
  /** For namespaces; a reboot ends them. */
  readonly execRoot: string;
  /** Of bridge and table: no other engine's; at most 12 letters and digits. */
  readonly name: string;
  /** `10.1.0.1/24`: the bridge's address and subnet. */
  readonly bip?: string | undefined;
  readonly addressPools?: readonly AddressPool[] | undefined;
  readonly dns?: readonly string[] | undefined;
  readonly now: () => string;
  /** Told of what could not be put right. */
  readonly report: (fault: Fault) => void;
}

/** What a container has of networks, written first. */
interface SandboxRecord extends Sandbox {
  readonly containerId: string;
  readonly containerName: string;
  /** Host end of the pair. */
  readonly veth?: string;
  /** Whose network it shares. */
  readonly joins?: string;
}

export interface AttachRequest {
  readonly containerId: string;
  readonly name: string;
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  readonly endpoints: ContainerRecord["endpoints"];
  readonly joins?: string | undefined;
  readonly signal: AbortSignal;
}

const vethPrefix = "wv";
const defaultNetwork = "bridge";

export class Networks implements Disposable {
  readonly #o: NetworksOptions;
  readonly #networks: Table<NetworkRecord>;
  readonly #sandboxes: Table<SandboxRecord>;
  readonly #namespaces: Namespaces;
  readonly #ports: PublishedPorts;
  readonly #bridge: Bridge;
  #lastAddress = "0.0.0.0";

  private constructor(o: NetworksOptions) {
    this.#o = o;
    this.#networks = o.records.table("networks");
    this.#sandboxes = o.records.table("sandboxes");
    this.#namespaces = new Namespaces(join(o.execRoot, "netns"));
    this.#ports = new PublishedPorts((port) => this.#holderOf(port));
    const { bridgeName, subnet, gateway } = this.#defaultNetworks();
    this.#bridge = new Bridge({
      name: bridgeName,
      table: `wherry-${o.name}`,
      gateway,
      subnet: parseSubnet(subnet),
    });
  }

  /** Decides the default networks; nothing is made before `prepare`. @throws Fault `invalid` for a bad `bip`. */
  static async open(o: NetworksOptions): Promise<Networks> {
    return new Networks(o);
  }

  /** @returns That of the bridge. */
  #defaultNetworks(): NetworkRecord {
    const known = new Map(this.#networks.list().map((record) => [record.name, record]));
    const shared = {
      created: this.#o.now(),
      subnet: "",
      gateway: "",
      bridgeName: "",
      options: {},
      labels: {},
    };
    for (const [name, driver] of [
      ["host", "host"],
      ["none", "null"],
    ] as const)
      if (!known.has(name)) this.#networks.put(name, { ...shared, id: newId(), name, driver });
    const { bip } = this.#o;
    const bridge = known.get(defaultNetwork);
    const wanted = bip === undefined ? undefined : parseSubnet(bip);
    if (bridge !== undefined && (wanted === undefined || bridge.gateway === wanted.address)) return bridge;
    const subnet = networkOf(wanted ?? chooseSubnet(hostSubnets(), this.#o.addressPools ?? defaultPools));
    const made: NetworkRecord = {
      ...shared,
      id: newId(),
      name: defaultNetwork,
      driver: "bridge",
      subnet: formatSubnet(subnet),
      gateway: wanted?.address ?? firstAddress(subnet),
      bridgeName: `wh${this.#o.name}`,
    };
    this.#networks.put(defaultNetwork, made);
    return made;
  }

  /** See the engine's part of that name. */
  async prepare(live: ReadonlySet<string>): Promise<void> {
    const [kept, gone] = [[] as SandboxRecord[], [] as SandboxRecord[]];
    for (const record of this.#sandboxes.list()) (live.has(record.containerId) ? kept : gone).push(record);
    const targets = kept.flatMap(targetsOf);
    this.#bridge.prepare(targets);
    for (const { containerId, ports } of kept)
      for (const { hostIp, hostPort } of this.#ports.retake(containerId, ports))
        this.#o.report(
          new Fault(
            "conflict",
            `the port ${hostIp}:${hostPort} of container ${containerId} was taken by another program while the engine was away`,
          ),
        );
    for (const { containerId } of gone) await this.detach(containerId);
    const veths = new Set(kept.map(({ veth }) => veth));
    for (const name of this.#bridge.ports())
      if (name.startsWith(vethPrefix) && !veths.has(name)) this.#bridge.unplug(name);
    this.#namespaces.sweep(new Set(kept.map(({ netnsPath }) => netnsPath ?? "")));
    this.#namespaces.fill();
  }

  async attach(o: AttachRequest): Promise<Sandbox> {
    o.signal.throwIfAborted();
    const known = this.#sandboxes.get(o.containerId);
    if (known !== undefined) return known;
    const mode = o.host.NetworkMode || defaultNetwork;
    if (mode === "host") return this.#keep({ ...blank(o) });
    if (o.joins !== undefined) return this.#join(o, o.joins);
    if (mode === "none" || o.config.NetworkDisabled === true)
      return this.#keep({ ...blank(o), netnsPath: this.#namespaces.take() });
    const network = this.get(mode === "default" ? defaultNetwork : mode);
    if (network.driver !== "bridge")
      throw new Fault("invalid", `container cannot be attached to the network ${mode}`);
    return this.#plug(o, network);
  }

  #keep(record: SandboxRecord): SandboxRecord {
    this.#sandboxes.put(record.containerId, record);
    return record;
  }

  #join(o: AttachRequest, joins: string): Sandbox {
    const other = this.#sandboxes.get(joins);
    if (other === undefined)
      throw new Fault("conflict", `cannot join network of a non running container: ${joins}`);
    const { netnsPath } = other;
    return this.#keep({ ...blank(o), joins, ...(netnsPath !== undefined && { netnsPath }) });
  }

  #plug(o: AttachRequest, network: NetworkRecord): Sandbox {
    const ports = this.#ports.take(o.containerId, o.name, portRequests(o.config, o.host));
    try {
      const netnsPath = this.#namespaces.take();
      const endpoint = this.#endpoint(o, network);
      const veth = `${vethPrefix}${o.containerId.slice(0, 11)}`;
      const record = this.#keep({ ...blank(o), netnsPath, endpoints: [endpoint], ports, veth });
      this.#connect(record, endpoint);
      return record;
    } catch (error) {
      this.#ports.release(o.containerId);
      throw error;
    }
  }

  #endpoint(o: AttachRequest, network: NetworkRecord): Endpoint {
    const subnet = parseSubnet(network.subnet);
    const endpoints = this.#sandboxes.list().flatMap((record) => record.endpoints);
    const taken = new Set([network.gateway, ...endpoints.map(({ ipAddress }) => ipAddress)]);
    const ipAddress = chooseAddress(subnet, taken, this.#lastAddress);
    this.#lastAddress = ipAddress;
    const given =
      o.endpoints[network.name]?.MacAddress || o.endpoints["default"]?.MacAddress || o.config.MacAddress;
    return {
      networkId: network.id,
      networkName: network.name,
      endpointId: newId(),
      ipAddress,
      prefixLength: subnet.prefixLength,
      gateway: network.gateway,
      macAddress: given || macOf(ipAddress),
      interfaceName: "eth0",
    };
  }

  #connect(record: SandboxRecord, endpoint: Endpoint): void {
    const { netnsPath = "", veth = "" } = record;
    const netns = openSync(netnsPath, "r");
    try {
      this.#bridge.plug(veth, netns, endpoint.macAddress);
    } finally {
      closeSync(netns);
    }
    inNamespace(netnsPath, () => {
      using netlink = new Netlink();
      const index = listLinks(netlink).find(({ name }) => name === endpoint.interfaceName)?.index ?? 0;
      addAddress(netlink, index, { address: endpoint.ipAddress, prefixLength: endpoint.prefixLength });
      setUp(netlink, index);
      addDefaultRoute(netlink, endpoint.gateway);
    });
    this.#bridge.publish(targetsOf(record));
  }

  /** Idempotent. */
  async detach(containerId: string): Promise<void> {
    const record = this.#sandboxes.get(containerId);
    if (record === undefined) return;
    this.#ports.release(containerId);
    for (const port of record.ports) ignoreMissing(() => this.#bridge.unpublish([port]));
    if (record.joins === undefined && record.netnsPath !== undefined) {
      // The pair goes with its namespace, unless somebody who joined keeps that alive.
      const shared = this.#sandboxes.list().some(({ joins }) => joins === containerId);
      if (shared && record.veth !== undefined) this.#bridge.unplug(record.veth);
      this.#namespaces.remove(record.netnsPath);
    }
    this.#sandboxes.delete(containerId);
  }

  sandbox(containerId: string): Sandbox | undefined {
    return this.#sandboxes.get(containerId);
  }

  list(): NetworkRecord[] {
    return this.#networks.list();
  }

  /** By name, id or the beginning of an id. @throws Fault `not-found`. */
  get(reference: string): NetworkRecord {
    const list = this.list();
    const found =
      list.find(({ name, id }) => name === reference || id === reference) ??
      list.find(({ id }) => reference.length > 0 && id.startsWith(reference));
    if (found === undefined) throw new Fault("not-found", `network ${reference} not found`);
    return found;
  }

  async files(
    record: ContainerRecord,
    sandbox: Sandbox,
    hostname: string,
  ): Promise<{ hosts: string; resolvConf: string }> {
    const { config, host } = record;
    const sharesHost = sandbox.netnsPath === undefined;
    const gateway = this.get(defaultNetwork).gateway;
    const extra = host.ExtraHosts ?? [];
    const hosts = sharesHost
      ? extendHosts(await textOf("/etc/hosts"), extra, "127.0.0.1")
      : renderHosts({
          hostname,
          domainname: config.Domainname ?? "",
          addresses: sandbox.endpoints.map(({ ipAddress }) => ipAddress),
          extra,
          gateway,
        });
    const asked = host.Dns ?? [];
    const resolvConf = renderResolvConf({
      host: await hostResolvConf(sharesHost),
      nameservers: asked.length > 0 ? asked : sharesHost ? [] : (this.#o.dns ?? []),
      search: host.DnsSearch ?? [],
      options: host.DnsOptions ?? [],
      sharesHost,
    });
    return { hosts, resolvConf };
  }

  #holderOf(port: PublishedPort): string | undefined {
    const holder = this.#sandboxes
      .list()
      .find(({ ports }) =>
        ports.some((each) => each.hostPort === port.hostPort && each.protocol === port.protocol),
      );
    return holder?.containerName;
  }

  /** Gives back what only this engine's life needs; networks of running containers stay. */
  [Symbol.dispose](): void {
    this.#namespaces[Symbol.dispose]();
    this.#ports.releaseAll();
    this.#bridge[Symbol.dispose]();
  }
}

function newId(): string {
  return randomBytes(32).toString("hex");
}

function blank({ containerId, name }: AttachRequest): SandboxRecord {
  return { containerId, containerName: name, endpoints: [], ports: [] };
}

function targetsOf({ ports, endpoints }: SandboxRecord): { port: PublishedPort; address: string }[] {
  const [endpoint] = endpoints;
  return endpoint === undefined ? [] : ports.map((port) => ({ port, address: endpoint.ipAddress }));
}

/** A rule that was never made, or that went with its table, needs no removal. */
function ignoreMissing(work: () => void): void {
  try {
    work();
  } catch (thrown) {
    if (!/No such file or directory|does not exist/.test(Fault.from(thrown).message)) throw thrown;
  }
}

async function textOf(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => "");
}

/** systemd-resolved's own list, when the host's file only points at it. */
async function hostResolvConf(sharesHost: boolean): Promise<string> {
  const text = await textOf("/etc/resolv.conf");
  const behind = "/run/systemd/resolve/resolv.conf";
  const servers = [...text.matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? "");
  const onlyLoopback = servers.length > 0 && servers.every(isLoopback);
  return onlyLoopback && !sharesHost && existsSync(behind) ? await textOf(behind) : text;
}
