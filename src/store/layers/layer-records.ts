/** What is known about layers: the records, and who stands on whom. Never: touches a file. */
import { createHash } from "node:crypto";
import { type ChainId, type Digest, parseDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Records, Table } from "#store/records.ts";

export interface LayerRecord {
  readonly chainId: ChainId;
  readonly parent?: ChainId;
  /** Of the uncompressed tar. */
  readonly diffId: Digest;
  /** Of all regular files in it. */
  readonly sizeBytes: number;
  readonly tarSizeBytes: number;
  /** A file in it may have names outside of it. No two layers of a stack may have the same file: a program sees one. */
  readonly sharesFiles?: boolean;
}

/** A writable layer: one container's changes. */
export interface WritableRecord {
  readonly id: string;
  readonly parent?: ChainId;
  /** With the mount points that containers need. */
  readonly skeleton: boolean;
}

/** The digest of a stack by that of the stack below and its top (OCI image-spec, config.md, "Layer ChainID"). */
export function chainIdOf(parent: ChainId | undefined, diffId: Digest): ChainId {
  if (parent === undefined) return diffId as ChainId;
  const text = `${parent} ${diffId}`;
  return parseDigest(`sha256:${createHash("sha256").update(text).digest("hex")}`) as ChainId;
}

export class LayerIndex {
  readonly #layers: Table<LayerRecord>;
  readonly #writables: Table<WritableRecord>;

  constructor(records: Records) {
    this.#layers = records.table("layers");
    this.#writables = records.table("writable-layers");
  }

  find(chainId: ChainId): LayerRecord | undefined {
    return this.#layers.get(chainId);
  }

  /** @throws Fault `not-found`. */
  get(chainId: ChainId): LayerRecord {
    const record = this.find(chainId);
    if (record === undefined) throw new Fault("not-found", `there is no layer ${chainId}`);
    return record;
  }

  list(): LayerRecord[] {
    return this.#layers.list();
  }

  put(record: LayerRecord): void {
    this.#layers.put(record.chainId, record);
  }

  delete(chainId: ChainId): void {
    this.#layers.delete(chainId);
  }

  findWritable(id: string): WritableRecord | undefined {
    return this.#writables.get(id);
  }

  /** @throws Fault `not-found`. */
  writable(id: string): WritableRecord {
    const record = this.findWritable(id);
    if (record === undefined) throw new Fault("not-found", `there is no writable layer ${id}`);
    return record;
  }

  writables(): WritableRecord[] {
    return this.#writables.list();
  }

  putWritable(record: WritableRecord): void {
    this.#writables.put(record.id, record);
  }

  deleteWritable(id: string): void {
    this.#writables.delete(id);
  }

  /** The stack, the topmost first. @throws Fault `not-found` for a gap in it. */
  stack(top: ChainId | undefined): LayerRecord[] {
    const stack: LayerRecord[] = [];
    for (let at = top; at !== undefined; at = stack.at(-1)?.parent) stack.push(this.get(at));
    return stack;
  }

  /** What stands on a layer directly; undefined when nothing does. */
  userOf(chainId: ChainId): string | undefined {
    const layer = this.list().find(({ parent }) => parent === chainId);
    if (layer !== undefined) return `layer ${layer.chainId}`;
    const writable = this.writables().find(({ parent }) => parent === chainId);
    return writable === undefined ? undefined : `the file system of ${writable.id}`;
  }
}
