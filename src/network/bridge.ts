/** The bridge that containers are on, and the firewall table beside it. Idempotent: what is there already is put right. */
import {
  addAddress,
  addBridge,
  addVeth,
  deleteLink,
  listLinks,
  setMac,
  setUp,
  usedSubnets,
} from "#kernel/links.ts";
import { Netlink } from "#kernel/netlink.ts";
import { runNft } from "#kernel/nftables.ts";
import type { PublishedPort } from "#spec/network.ts";
import { macOf, type Subnet } from "./ipam.ts";
import { write } from "./namespaces.ts";
import { addPorts, deletePorts, type PublishedTarget, replaceTable } from "./ruleset.ts";

export interface BridgePlace {
  readonly name: string;
  readonly table: string;
  readonly gateway: string;
  readonly subnet: Subnet;
}

/** What this host has routes to or addresses in, but through `bridge` itself. */
export function hostSubnets(): Subnet[] {
  using netlink = new Netlink();
  return usedSubnets(netlink);
}

export class Bridge {
  readonly place: BridgePlace;
  readonly #netlink = new Netlink();
  #index = 0;

  constructor(place: BridgePlace) {
    this.place = place;
  }

  /** Makes what is missing; the table is written anew, with exactly these ports. */
  prepare(published: readonly PublishedTarget[]): void {
    const { name, table, gateway, subnet } = this.place;
    const find = () => listLinks(this.#netlink).find((link) => link.name === name);
    let link = find();
    if (link === undefined) {
      addBridge(this.#netlink, name);
      link = find();
    }
    this.#index = link?.index ?? 0;
    // A bridge without an address of its own takes one of its ports', and changes it when that goes.
    setMac(this.#netlink, this.#index, macBytes(macOf(gateway)));
    addAddress(this.#netlink, this.#index, { address: gateway, prefixLength: subnet.prefixLength });
    setUp(this.#netlink, this.#index);
    write("/proc/sys/net/ipv4/ip_forward", "1");
    // Published ports answer on 127.0.0.1 too; the guard chain keeps containers from the rest of it.
    write(`/proc/sys/net/ipv4/conf/${name}/route_localnet`, "1");
    runNft(
      replaceTable({ table, bridge: name, subnet: `${subnet.address}/${subnet.prefixLength}`, published }),
    );
  }

  /** Names of the interfaces on it. */
  ports(): string[] {
    return listLinks(this.#netlink)
      .filter(({ master }) => master === this.#index)
      .map(({ name }) => name);
  }

  plug(name: string, netns: number, mac: string): void {
    const peer = { netns, name: "eth0", mac: macBytes(mac) };
    addVeth(this.#netlink, { name, master: this.#index, peer });
  }

  /** Waits for the kernel, some 20 ms. Idempotent. */
  unplug(name: string): void {
    deleteLink(this.#netlink, name);
  }

  publish(published: readonly PublishedTarget[]): void {
    if (published.length > 0) runNft(addPorts(this.place.table, published));
  }

  unpublish(ports: readonly PublishedPort[]): void {
    if (ports.length > 0) runNft(deletePorts(this.place.table, ports));
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]();
  }
}

function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16));
}
