/**
 * Networks as records.
 * Owns: the table. Promises: what is put is durable when the call returns; names and ids are each of one network.
 */
import { Fault } from "#spec/fault.ts";
import type { NetworkRecord } from "#spec/network.ts";
import type { Records, Table } from "#store/records.ts";

export class NetworkTable {
  readonly #table: Table<NetworkRecord>;
  readonly #byId = new Map<string, NetworkRecord>();
  readonly #byName = new Map<string, NetworkRecord>();

  constructor(records: Records) {
    this.#table = records.table("networks");
    // Written by an engine that knew the predefined networks only.
    for (const [key, record] of this.#table.entries())
      if ((record as Partial<NetworkRecord>).pools === undefined) this.#table.delete(key);
      // Older records know of no IPv6.
      else this.#remember({ ...{ ipv4: true, ipv6: false }, ...record });
  }

  list(): NetworkRecord[] {
    return [...this.#byId.values()];
  }

  named(name: string): NetworkRecord | undefined {
    return this.#byName.get(name);
  }

  withId(id: string): NetworkRecord | undefined {
    return this.#byId.get(id);
  }

  /** By id, name, or the beginning of an id. @throws Fault `not-found`, `invalid` when several begin so. */
  get(reference: string): NetworkRecord {
    const exact = this.#byId.get(reference) ?? this.#byName.get(reference);
    if (exact !== undefined) return exact;
    const fits = reference === "" ? [] : this.list().filter(({ id }) => id.startsWith(reference));
    const [only] = fits;
    if (fits.length > 1)
      throw new Fault(
        "invalid",
        `network ${reference} is ambiguous (${fits.length} matches found on ID prefix)`,
      );
    if (only === undefined) throw new Fault("not-found", `network ${reference} not found`);
    return only;
  }

  put(record: NetworkRecord): void {
    this.#table.put(record.id, record);
    this.#remember(record);
  }

  /** Idempotent. */
  delete({ id, name }: Pick<NetworkRecord, "id" | "name">): void {
    this.#table.delete(id);
    this.#byId.delete(id);
    if (this.#byName.get(name)?.id === id) this.#byName.delete(name);
  }

  #remember(record: NetworkRecord): void {
    this.#byId.set(record.id, record);
    this.#byName.set(record.name, record);
  }
}
