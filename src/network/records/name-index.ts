/**
 * Who is called what on which network. What it says stands in the records of sandboxes; this is the index of them.
 * Names are compared without regard to case (RFC 4343).
 */
import type { Family } from "#spec/ip.ts";
import { addressesOf, addressIn, type Endpoint } from "#spec/network.ts";
import { gatewayOrder } from "./endpoint-settings.ts";

/** Who asks. */
export interface Asker {
  readonly endpoints: readonly Endpoint[];
}

interface NetworkNames {
  readonly byName: Map<string, Endpoint[]>;
  readonly byAddress: Map<string, Endpoint>;
}

export class NameIndex {
  readonly #networks = new Map<string, NetworkNames>();
  /** Another one whenever some name or some endpoint is different. */
  version = 0;

  add(endpoint: Endpoint): void {
    this.version++;
    const addresses = addressesOf(endpoint);
    if (endpoint.dnsNames.length === 0 || addresses.length === 0) return;
    const { byName, byAddress } = this.#of(endpoint.networkId);
    for (const address of addresses) byAddress.set(address, endpoint);
    for (const name of endpoint.dnsNames) {
      const key = name.toLowerCase();
      byName.set(key, [...(byName.get(key) ?? []), endpoint]);
    }
  }

  delete(endpoint: Endpoint): void {
    this.version++;
    const names = this.#networks.get(endpoint.networkId);
    if (names === undefined) return;
    for (const address of addressesOf(endpoint)) names.byAddress.delete(address);
    for (const name of endpoint.dnsNames) {
      const key = name.toLowerCase();
      const rest = (names.byName.get(key) ?? []).filter(
        ({ endpointId }) => endpointId !== endpoint.endpointId,
      );
      if (rest.length > 0) names.byName.set(key, rest);
      else names.byName.delete(key);
    }
    if (names.byAddress.size === 0) this.#networks.delete(endpoint.networkId);
  }

  /**
   * Addresses of a name as one container sees it: those of the first of its networks that knows it, its way out first.
   * `NAME.NETWORK` means that network's. Undefined when nobody is called so, empty when those have none of the family.
   */
  addresses(asker: Asker, name: string, family: Family): string[] | undefined {
    const found = this.named(asker, name);
    return found.length === 0
      ? undefined
      : found.map((each) => addressIn(each, family)).filter((address) => address !== "");
  }

  /** Who is called so, as `addresses` finds them. */
  named(asker: Asker, name: string): Endpoint[] {
    const key = name.toLowerCase().replace(/\.$/, "");
    const endpoints = gatewayOrder(asker.endpoints);
    const plain = this.#find(endpoints, key);
    if (plain.length > 0) return plain;
    for (let dot = key.lastIndexOf("."); dot > 0; dot = key.lastIndexOf(".", dot - 1)) {
      const network = key.slice(dot + 1);
      const there = endpoints.filter(({ networkName }) => networkName.toLowerCase() === network);
      const found = this.#find(there, key.slice(0, dot));
      if (found.length > 0) return found;
    }
    return [];
  }

  #find(endpoints: readonly Endpoint[], key: string): Endpoint[] {
    for (const own of endpoints) {
      const names = this.#networks.get(own.networkId)?.byName;
      const found = names?.get(linked(own, key) ?? key) ?? [];
      if (found.length > 0) return found;
    }
    return [];
  }

  /** `NAME.NETWORK` of who has the address on one of the container's networks. */
  nameOf(asker: Asker, address: string): string | undefined {
    for (const { networkId } of asker.endpoints) {
      const found = this.#networks.get(networkId)?.byAddress.get(address);
      if (found !== undefined) return `${found.dnsNames[0]}.${found.networkName}`;
    }
    return undefined;
  }

  #of(networkId: string): NetworkNames {
    let found = this.#networks.get(networkId);
    if (found === undefined) {
      found = { byName: new Map(), byAddress: new Map() };
      this.#networks.set(networkId, found);
    }
    return found;
  }
}

/** What a link `CONTAINER:ALIAS` of this endpoint makes of an alias; ids are known by their first twelve digits. */
function linked({ links }: Endpoint, key: string): string | undefined {
  for (const link of links) {
    const [target = "", alias = target] = link.toLowerCase().split(":");
    if (alias === key) return /^[0-9a-f]{64}$/.test(target) ? target.slice(0, 12) : target.replace(/^\//, "");
  }
  return undefined;
}
