/**
 * What containers have of networks, as records: written before it is acquired, deleted after it was given back.
 * Owns: the table, and the leases of addresses and the names that stand in it.
 */
import { addressesOf, type Endpoint, type Sandbox } from "#spec/network.ts";
import type { Records, Table } from "#store/records.ts";
import { Leases } from "./leases.ts";
import { NameIndex } from "./name-index.ts";

/** How questions for names are answered there. */
export interface ResolverSettings {
  /** The container's own servers; the host's when empty. */
  readonly servers: readonly string[];
  /** The user set how many dots make a name whole. */
  readonly ndots: boolean;
}

export interface SandboxRecord extends Sandbox {
  readonly containerId: string;
  readonly containerName: string;
  readonly hostname: string;
  /** Whose network it shares. */
  readonly joins?: string;
  /** There while the engine answers questions for names in it. */
  readonly resolver?: ResolverSettings;
  /** Of the networks whose endpoints the ports lead to. */
  readonly publishedOn?: { readonly 4?: string; readonly 6?: string };
}

export class SandboxTable {
  readonly leases = new Leases();
  readonly names = new NameIndex();
  readonly #table: Table<SandboxRecord>;
  readonly #all = new Map<string, SandboxRecord>();
  readonly #members = new Map<string, Map<string, Endpoint>>();

  constructor(records: Records) {
    this.#table = records.table("sandboxes");
    for (const record of this.#table.list()) this.#remember(completed(record));
  }

  get(containerId: string): SandboxRecord | undefined {
    return this.#all.get(containerId);
  }

  list(): SandboxRecord[] {
    return [...this.#all.values()];
  }

  /** Of a network: container ids to their endpoints. */
  members(networkId: string): ReadonlyMap<string, Endpoint> {
    return this.#members.get(networkId) ?? new Map<string, Endpoint>();
  }

  put(record: SandboxRecord): SandboxRecord {
    this.#table.put(record.containerId, record);
    this.#forget(record.containerId);
    this.#remember(record);
    return record;
  }

  /** Idempotent. */
  delete(containerId: string): void {
    this.#table.delete(containerId);
    this.#forget(containerId);
  }

  #remember(record: SandboxRecord): void {
    const { containerId, containerName, endpoints } = record;
    this.#all.set(containerId, record);
    for (const endpoint of endpoints) {
      for (const address of addressesOf(endpoint))
        this.leases.add(endpoint.networkId, address, `container ${containerName}`);
      this.names.add(endpoint);
      const members = this.#members.get(endpoint.networkId) ?? new Map<string, Endpoint>();
      this.#members.set(endpoint.networkId, members.set(containerId, endpoint));
    }
  }

  #forget(containerId: string): void {
    for (const endpoint of this.#all.get(containerId)?.endpoints ?? []) {
      for (const address of addressesOf(endpoint)) this.leases.delete(endpoint.networkId, address);
      this.names.delete(endpoint);
      this.#members.get(endpoint.networkId)?.delete(containerId);
    }
    this.#all.delete(containerId);
  }
}

/** Older records know of no IPv6. */
function completed(record: SandboxRecord): SandboxRecord {
  const { publishedOn } = record;
  const endpoints = record.endpoints.map((each) => ({
    ...{ ip6Address: "", prefixLength6: 0, gateway6: "" },
    ...each,
  }));
  return typeof publishedOn === "string"
    ? { ...record, endpoints, publishedOn: { 4: publishedOn } }
    : { ...record, endpoints };
}
