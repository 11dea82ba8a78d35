/** Container records with their names: the lookups every request begins with, over one table of the store. */
import type { ContainerId, ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { Records, Table } from "#store/records.ts";
import { linksOf } from "./links.ts";

export class ContainerIndex {
  readonly #records: Records;
  readonly #table: Table<ContainerRecord>;
  readonly #byId = new Map<string, ContainerRecord>();
  readonly #idByName = new Map<string, string>();
  /** Containers that are linked to one, by its id. */
  readonly #linkedTo = new Map<string, Set<string>>();

  constructor(records: Records) {
    this.#records = records;
    this.#table = records.table<ContainerRecord>("containers");
    for (const record of this.#table.list()) this.#remember(record);
  }

  /** Newest first, as Docker lists. */
  list(): ContainerRecord[] {
    return [...this.#byId.values()].sort((a, b) =>
      a.created < b.created ? 1 : a.created > b.created ? -1 : 0,
    );
  }

  /** By full id. */
  find(id: string): ContainerRecord | undefined {
    return this.#byId.get(id);
  }

  /**
   * By full id, name with or without its slash, or an id prefix of one container only.
   * @throws Fault `not-found`, or `invalid` when the prefix fits several.
   */
  get(reference: string): ContainerRecord {
    const name = reference.startsWith("/") ? reference.slice(1) : reference;
    const exact = this.#byId.get(reference) ?? this.#byId.get(this.#idByName.get(name) ?? "");
    if (exact !== undefined) return exact;
    const fits = /^[0-9a-f]+$/.test(name)
      ? [...this.#byId.values()].filter((record) => record.id.startsWith(name))
      : [];
    const [only, second] = fits;
    if (second !== undefined)
      throw new Fault("invalid", `multiple IDs found with provided prefix: ${reference}`);
    if (only === undefined) throw new Fault("not-found", `No such container: ${reference}`);
    return only;
  }

  /**
   * Adds a new record. Atomic with the check that its name is free, and with the records that `along` writes.
   * @throws Fault `conflict` in Docker's words when another container has the name.
   */
  add(record: ContainerRecord, along: () => void): void {
    this.#claim(record.name, record.id);
    this.#records.transaction(() => {
      this.#table.put(record.id, record);
      along();
    });
    this.#remember(record);
  }

  /** Replaces what is known of the container. Durable when it returns. */
  put(record: ContainerRecord): void {
    this.#table.put(record.id, record);
    this.#remember(record);
  }

  rename(id: ContainerId, name: string): ContainerRecord {
    const record = this.get(id);
    this.#claim(name, id);
    const renamed = { ...record, name };
    this.put(renamed);
    this.#idByName.delete(record.name);
    return renamed;
  }

  /** Idempotent. */
  delete(id: string): void {
    const record = this.#byId.get(id);
    this.#records.transaction(() => this.#table.delete(id));
    this.#byId.delete(id);
    if (record !== undefined) this.#forgetLinks(record);
    if (record !== undefined && this.#idByName.get(record.name) === id) this.#idByName.delete(record.name);
  }

  hasName(name: string): boolean {
    return this.#idByName.has(name);
  }

  /** Those that are linked to a container, and what they call it. */
  linkedTo(id: string): { readonly record: ContainerRecord; readonly alias: string }[] {
    return [...(this.#linkedTo.get(id) ?? [])].flatMap((from) => {
      const record = this.#byId.get(from);
      if (record === undefined) return [];
      const links = linksOf(record).filter(({ reference }) => reference === id);
      return links.map(({ alias }) => ({ record, alias }));
    });
  }

  #forgetLinks(record: ContainerRecord): void {
    for (const { reference } of linksOf(record)) {
      const linked = this.#linkedTo.get(reference);
      linked?.delete(record.id);
      if (linked?.size === 0) this.#linkedTo.delete(reference);
    }
  }

  #remember(record: ContainerRecord): void {
    const before = this.#byId.get(record.id);
    if (before !== undefined && before.host.Links !== record.host.Links) this.#forgetLinks(before);
    for (const { reference } of linksOf(record)) {
      const linked = this.#linkedTo.get(reference) ?? new Set();
      this.#linkedTo.set(reference, linked.add(record.id));
    }
    this.#byId.set(record.id, record);
    this.#idByName.set(record.name, record.id);
  }

  #claim(name: string, id: string): void {
    const owner = this.#idByName.get(name);
    if (owner === undefined || owner === id) return;
    throw new Fault(
      "conflict",
      `Conflict. The container name "/${name}" is already in use by container "${owner}". ` +
        "You have to remove (or rename) that container to be able to reuse that name.",
    );
  }
}
