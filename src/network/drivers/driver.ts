/**
 * What a kind of network must be able to do. Addresses, names, records and order are not its business: it is told what was
 * decided, and makes it so. `driver-contract.test.ts` runs every driver through the same tests.
 */

import type { GatewayMode } from "#network/rules/ruleset.ts";
import type { Family } from "#spec/ip.ts";
import type { Endpoint, NetworkRecord, NetworkSettings } from "#spec/network.ts";

/** What a driver is asked about before there is a network. */
export type DriverSettings = Pick<NetworkSettings, "options" | "internal" | "ipam" | "ipv4" | "ipv6">;

/** How ports of containers are opened. */
export interface Publishing {
  /** Where nothing is said: `0.0.0.0` means every address of both families. */
  readonly hostIp: string;
  readonly modes: Readonly<Record<Family, GatewayMode>>;
}

export interface NetworkDriver extends Disposable {
  readonly name: string;
  /** Only the engine's own network of this kind exists. */
  readonly single: boolean;
  /** Its networks have subnets, its endpoints addresses. */
  readonly addressed: boolean;
  /** The host has routes into its networks. */
  readonly routed: boolean;

  /** Looks at options and subnets. @throws Fault `invalid` or `unsupported` naming what cannot be. */
  check(settings: DriverSettings): void;

  /** Whether an address of that family is kept for a gateway. */
  hasGateway(settings: Pick<DriverSettings, "options" | "internal">, family: Family): boolean;

  /** Name of the interface that will carry the network; empty for none. */
  device(network: Pick<NetworkRecord, "id" | "options" | "internal">): string;

  /** @throws Fault `denied` when the two cannot be carried by the same device. */
  share(network: Pick<NetworkRecord, "id" | "device" | "options">, other: NetworkRecord): void;

  /** Whether an interface of that name is there already: a network that names one uses it, and leaves it. */
  present(device: string): boolean;

  /** Makes the network on this host, or puts right what differs. Idempotent. */
  make(network: NetworkRecord): void;

  /** Takes it from this host. Idempotent. */
  remove(network: NetworkRecord): void;

  /**
   * Puts the endpoint's interface into the namespace of descriptor `netns`: named and with its address of hardware, but
   * down. @throws When it cannot; nothing of it is left then.
   */
  plug(network: NetworkRecord, endpoint: Endpoint, netns: number): void;

  /** Takes the endpoint's interface away from the namespace. May wait for the kernel, some 20 ms. Idempotent. */
  unplug(network: NetworkRecord, endpoint: Endpoint, netnsPath: string): void;

  /** Removes interfaces on the host that belong to no endpoint any more. `known` are names of those that do. */
  sweep(network: NetworkRecord, known: ReadonlySet<string>): void;

  /** How endpoints there can have ports of this host; undefined: they cannot. */
  publishing(network: NetworkRecord): Publishing | undefined;

  /** Whether a container there has a way out through it: `link` where it needs no gateway for that. */
  leadsOut(network: NetworkRecord): boolean | "link";

  /** Beginning of the names of interfaces in containers. */
  interfacePrefix(network: NetworkRecord): string;

  /** Beginning of the names of interfaces on the host; empty where there are none. */
  readonly hostPrefix: string;
}
