/**
 * What a kind of network must be able to do. Addresses, names, records and order are not its business: it is told what was
 * decided, and makes it so. `driver-contract.test.ts` runs every driver through the same tests.
 */
import type { Endpoint, NetworkRecord, NetworkSettings } from "#spec/network.ts";

export interface NetworkDriver extends Disposable {
  readonly name: string;
  /** Only the engine's own network of this kind exists. */
  readonly single: boolean;
  /** Its networks have subnets, its endpoints addresses. */
  readonly addressed: boolean;

  /** Looks at options and subnets. @throws Fault `invalid` or `unsupported` naming what cannot be. */
  check(settings: Pick<NetworkSettings, "options" | "internal" | "ipam">): void;

  /** Name of the interface that will carry the network; empty for none. */
  device(network: Pick<NetworkRecord, "id" | "options">): string;

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

  /** Takes the endpoint's interface away. May wait for the kernel, some 20 ms. Idempotent. */
  unplug(network: NetworkRecord, endpoint: Endpoint): void;

  /** Removes interfaces on the host that belong to no endpoint any more. `known` are names of those that do. */
  sweep(network: NetworkRecord, known: ReadonlySet<string>): void;

  /** How endpoints there can have ports of this host, and on which of its addresses; undefined: they cannot. */
  publishing(network: NetworkRecord): { readonly hostIp: string } | undefined;

  /** Whether a container there has a way out through it. */
  leadsOut(network: NetworkRecord): boolean;

  /** Beginning of the names of interfaces in containers. */
  interfacePrefix(network: NetworkRecord): string;

  /** Beginning of the names of interfaces on the host; empty where there are none. */
  readonly hostPrefix: string;
}
