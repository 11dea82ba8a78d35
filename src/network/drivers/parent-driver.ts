/**
 * Networks carried by an interface of the host that was there before: macvlan and ipvlan, each container by a child of it
 * in its own namespace. The host sees nothing of them: no ports, no firewall, and it does not reach them.
 * Owns: sub-interfaces (`eth0.10`) and stand-ins that it made. Never: an interface that somebody else made.
 */

import { Errno } from "#kernel/libc.ts";
import { addChild, addPair, addVlan, knowsKind } from "#kernel/network/child-links.ts";
import { deleteLink, findLink, setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { macBytes } from "#network/records/ipam.ts";
import { Fault } from "#spec/fault.ts";
import type { Endpoint, NetworkRecord } from "#spec/network.ts";
import type { DriverSettings, NetworkDriver } from "./driver.ts";
import { type ParentDriverName, type ParentOptions, parentOptions } from "./parent-options.ts";

interface Made {
  readonly index: number;
  readonly options: ParentOptions;
}

export class ParentDriver implements NetworkDriver {
  readonly name: ParentDriverName;
  readonly single = false;
  readonly addressed = true;
  readonly routed = false;
  readonly hostPrefix = "";
  readonly #netlink = new Netlink();
  /** By network id. */
  readonly #made = new Map<string, Made>();

  constructor(name: ParentDriverName) {
    this.name = name;
  }

  check({ options }: Pick<DriverSettings, "options">): void {
    parentOptions(this.name, options);
    if (!knowsKind(this.#netlink, this.name))
      throw new Fault(
        "unsupported",
        `this kernel makes no ${this.name} interfaces: load its module ('modprobe ${this.name}'), or use another driver`,
      );
  }

  hasGateway(): boolean {
    return true;
  }

  device({ id, options }: Pick<NetworkRecord, "id" | "options">): string {
    return parentOptions(this.name, options).parent ?? `dm-${id.slice(0, 12)}`;
  }

  share({ options, device }: Pick<NetworkRecord, "device" | "options">, other: NetworkRecord): void {
    const own = parentOptions(this.name, options).kind;
    const same = other.driver === "macvlan" && own.kind === "macvlan";
    const passthru = own.mode === "passthru" || other.options["macvlan_mode"] === "passthru";
    if (same && !passthru && !other.ownsDevice) return;
    const why = passthru ? " in mode passthru" : other.ownsDevice ? ", which it made and takes with it" : "";
    throw new Fault(
      "denied",
      `network ${other.name} is already using parent interface ${device}${why}: choose another parent`,
    );
  }

  present(device: string): boolean {
    return findLink(this.#netlink, device) !== undefined;
  }

  make(network: NetworkRecord): void {
    const options = parentOptions(this.name, network.options);
    if (!this.present(network.device)) this.#makeParent(network.device, options);
    const link = findLink(this.#netlink, network.device);
    this.#made.set(network.id, { index: link?.index ?? 0, options });
  }

  #makeParent(device: string, { parent, vlan }: ParentOptions): void {
    if (parent === undefined) {
      addPair(this.#netlink, device, `dp-${device.slice(3)}`);
      return;
    }
    const below = vlan === undefined ? undefined : findLink(this.#netlink, vlan.parent);
    if (vlan === undefined || below === undefined)
      throw new Fault(
        "invalid",
        vlan === undefined
          ? `invalid subinterface vlan name ${device}, example formatting is eth0.10: this host has no interface ${device}`
          : `-o parent interface was not found on the host: ${vlan.parent}`,
      );
    if (!knowsKind(this.#netlink, "vlan"))
      throw new Fault(
        "unsupported",
        `this kernel makes no 802.1q interfaces such as ${device}: load its module ('modprobe 8021q')`,
      );
    addVlan(this.#netlink, { name: device, parent: below.index, id: vlan.id });
  }

  remove(network: NetworkRecord): void {
    this.#made.delete(network.id);
    if (network.ownsDevice) deleteLink(this.#netlink, network.device);
  }

  plug(network: NetworkRecord, endpoint: Endpoint, netns: number): void {
    const made = this.#made.get(network.id);
    if (made === undefined) throw new Fault("unavailable", `network ${network.name} is not there any more`);
    const { kind, mtu } = made.options;
    // One that was there may be down, and its children with it.
    setUp(this.#netlink, made.index);
    const mac = kind.kind === "macvlan" ? macBytes(endpoint.macAddress) : undefined;
    const request = { name: endpoint.interfaceName, parent: made.index, netns, mac, mtu };
    try {
      addChild(this.#netlink, request, kind);
    } catch (cause) {
      if (!(cause instanceof Errno) || !["EBUSY", "EINVAL"].includes(cause.code)) throw cause;
      throw new Fault(
        "conflict",
        `network ${network.name} cannot have another interface on ${network.device}: something else uses it, or its mode allows only one`,
        { cause },
      );
    }
  }

  unplug(_: NetworkRecord, { interfaceName }: Endpoint, netnsPath: string): void {
    try {
      inNamespace(netnsPath, () => {
        using netlink = new Netlink();
        deleteLink(netlink, interfaceName);
      });
    } catch (error) {
      // Gone with its namespace.
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }

  /** What is left of them is in namespaces, and goes with these. */
  sweep(): void {}

  publishing(): undefined {
    return undefined;
  }

  leadsOut({ internal, options }: NetworkRecord): boolean | "link" {
    const { kind, parent } = parentOptions(this.name, options);
    if (internal || parent === undefined) return false;
    return kind.mode === "l3" || kind.mode === "l3s" ? "link" : true;
  }

  interfacePrefix(): string {
    return "eth";
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]();
  }
}
