/**
 * Networks carried by a bridge on this host, each container by a pair of interfaces.
 * Owns: the bridges and their ports, and the networks' place in the firewall. Idempotent: what is there already is put
 * right. Never: a bridge that somebody else made, but to use it when a network names it.
 */
import { addAddress } from "#kernel/network/addresses.ts";
import {
  addBridge,
  addVeth,
  deleteLink,
  findLink,
  listLinks,
  setBridgePort,
  setMac,
  setMtu,
  setUp,
} from "#kernel/network/links.ts";
import { forgetNeighbour } from "#kernel/network/neighbours.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import type { Firewall } from "#network/firewall/firewall.ts";
import { forwardIpv6 } from "#network/links/forwarding.ts";
import { useIpv6 } from "#network/links/interfaces.ts";
import { write } from "#network/links/namespaces.ts";
import {
  type BridgeOptions,
  bridgeOption,
  bridgeOptions,
  checkGatewayModes,
} from "#network/records/bridge-options.ts";
import { macBytes, macOf } from "#network/records/ipam.ts";
import type { BridgedNetwork } from "#network/rules/ruleset.ts";
import { Fault } from "#spec/fault.ts";
import { type Family, familyOf, parseSubnet } from "#spec/ip.ts";
import { addressesOf, type Endpoint, type NetworkRecord } from "#spec/network.ts";
import type { DriverSettings, NetworkDriver, Publishing } from "./driver.ts";

interface Made {
  readonly index: number;
  readonly options: BridgeOptions;
}

export class BridgeDriver implements NetworkDriver {
  readonly name = "bridge";
  readonly single = false;
  readonly addressed = true;
  readonly routed = true;
  readonly hostPrefix = "wv";
  readonly #netlink = new Netlink();
  readonly #engine: string;
  readonly #firewall: Pick<Firewall, "addNetwork" | "removeNetwork">;
  /** By network id: what a start must not ask the kernel for. */
  readonly #made = new Map<string, Made>();

  /** `engine`: letters and digits that no other engine on this host has. */
  constructor(engine: string, firewall: Pick<Firewall, "addNetwork" | "removeNetwork">) {
    this.#engine = engine;
    this.#firewall = firewall;
  }

  check({ options, internal, ipam }: DriverSettings): void {
    const subnets = ipam.config.map(({ Subnet = "" }) => familyOf(Subnet));
    if (new Set(subnets).size < subnets.length)
      throw new Fault("denied", "bridge driver doesn't support multiple subnets");
    checkGatewayModes(options, internal);
  }

  hasGateway({ options }: Pick<DriverSettings, "options">, family: Family): boolean {
    return bridgeOptions(options).modes[family] !== "isolated";
  }

  share({ id, device }: Pick<NetworkRecord, "id" | "device">, rival: NetworkRecord): void {
    throw new Fault(
      "denied",
      `cannot create network ${id} (${device}): conflicts with network ${rival.id} (${rival.device}): networks have same bridge name`,
    );
  }

  device({ id, options }: Pick<NetworkRecord, "id" | "options">): string {
    // Both parts tell it from other engines' and other networks'; 15 letters are the most.
    return bridgeOptions(options).name ?? `wh${this.#engine.slice(0, 5)}${id.slice(0, 8)}`;
  }

  present(device: string): boolean {
    return findLink(this.#netlink, device) !== undefined;
  }

  make(network: NetworkRecord): void {
    const { device } = network;
    const options = bridgeOptions(network.options);
    let link = findLink(this.#netlink, device);
    if (link === undefined) {
      addBridge(this.#netlink, device, options.mtu === undefined ? {} : { mtu: options.mtu });
      link = findLink(this.#netlink, device);
    } else if (network.ownsDevice) this.#adjust(link.index, options);
    const index = link?.index ?? 0;
    // A bridge without an address of its own takes one of its ports', and changes it when that goes.
    if (network.ownsDevice) setMac(this.#netlink, index, macBytes(bridgeMac(network)));
    if (network.ipv6) {
      forwardIpv6();
      useIpv6(device);
    }
    for (const { gateway, subnet } of network.pools) {
      const { prefixLength } = parseSubnet(subnet);
      const given = gateway !== "" && !(options.inhibit && familyOf(subnet) === 4);
      if (given) addAddress(this.#netlink, index, { address: gateway, prefixLength });
    }
    // Published ports answer on 127.0.0.1 too; the firewall keeps containers from the rest of it.
    write(`/proc/sys/net/ipv4/conf/${device}/route_localnet`, "1");
    setUp(this.#netlink, index);
    this.#made.set(network.id, { index, options });
    this.#firewall.addNetwork(bridged(network));
  }

  /**
   * To what its options say by now; interfaces of containers that run keep their packets' size, and those of containers
   * that just ended may go meanwhile.
   */
  #adjust(index: number, { icc, mtu }: BridgeOptions): void {
    if (mtu !== undefined) setMtu(this.#netlink, index, mtu);
    for (const { index: port, master, name } of listLinks(this.#netlink))
      if (master === index && name.startsWith(this.hostPrefix))
        setBridgePort(this.#netlink, port, { hairpin: true, isolated: !icc });
  }

  remove(network: NetworkRecord): void {
    this.#made.delete(network.id);
    this.#firewall.removeNetwork(bridged(network));
    if (network.ownsDevice) deleteLink(this.#netlink, network.device);
  }

  plug(network: NetworkRecord, endpoint: Endpoint, netns: number): void {
    const made = this.#made.get(network.id);
    if (made === undefined) throw new Fault("unavailable", `network ${network.name} is not there any more`);
    const peer = { netns, name: endpoint.interfaceName, mac: macBytes(endpoint.macAddress) };
    const { mtu, icc } = made.options;
    addVeth(this.#netlink, { name: endpoint.hostInterface, master: made.index, mtu, peer });
    try {
      const port = findLink(this.#netlink, endpoint.hostInterface);
      // A container reaches its own published ports; where bridges are filtered like routers, that never leaves its port.
      if (port === undefined || !setBridgePort(this.#netlink, port.index, { hairpin: true, isolated: !icc }))
        throw new Fault("unavailable", `the interface ${endpoint.hostInterface} went as soon as it was made`);
      // Who had the address before may have had another address of hardware, which the host would go on sending to.
      for (const address of addressesOf(endpoint)) forgetNeighbour(this.#netlink, made.index, address);
    } catch (error) {
      deleteLink(this.#netlink, endpoint.hostInterface);
      throw error;
    }
  }

  unplug(_: NetworkRecord, { hostInterface }: Endpoint): void {
    deleteLink(this.#netlink, hostInterface);
  }

  sweep({ id }: NetworkRecord, known: ReadonlySet<string>): void {
    const index = this.#made.get(id)?.index;
    for (const { name, master } of listLinks(this.#netlink))
      if (master === index && name.startsWith(this.hostPrefix) && !known.has(name))
        deleteLink(this.#netlink, name);
  }

  publishing(network: NetworkRecord): Publishing | undefined {
    const { hostIp, modes } = this.#options(network);
    return network.internal ? undefined : { hostIp, modes };
  }

  leadsOut({ internal }: NetworkRecord): boolean {
    return !internal;
  }

  interfacePrefix(network: NetworkRecord): string {
    return this.#options(network).interfacePrefix;
  }

  #options(network: NetworkRecord): BridgeOptions {
    return this.#made.get(network.id)?.options ?? bridgeOptions(network.options);
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]();
  }
}

/** A network's place in the firewall. */
export function bridged({ device, internal, options, pools }: NetworkRecord): BridgedNetwork {
  const { masquerade, modes, sources, trusted } = bridgeOptions(options);
  const places = pools.map(({ subnet }) => {
    const family = familyOf(subnet);
    return { subnet, masquerade, mode: modes[family], source: sources[family] };
  });
  return { bridge: device, internal, trusted, places };
}

/** The same each time, so that containers need not ask for it anew when the engine comes back. */
function bridgeMac({ id, pools }: NetworkRecord): string {
  const gateway = pools.find((each) => each.gateway !== "")?.gateway;
  if (gateway !== undefined) return macOf(gateway);
  return ["02", "42", ...(id.slice(0, 8).match(/../g) ?? [])].join(":");
}

/** What dockerd says of its own bridge. */
export function defaultBridgeOptions(device: string): Record<string, string> {
  return {
    [bridgeOption.isDefault]: "true",
    [bridgeOption.icc]: "true",
    [bridgeOption.masquerade]: "true",
    [bridgeOption.hostIp]: "0.0.0.0",
    [bridgeOption.name]: device,
    [bridgeOption.mtu]: "1500",
  };
}
