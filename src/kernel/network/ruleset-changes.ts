/**
 * Pure. What the kernel tells of changes to nftables rules (`NFNLGRP_NFTABLES`, linux/netfilter/nf_tables.h): messages about
 * what changed, and behind those of one transaction the new generation with who made it.
 */
import { decodeAttributes, decodeMessages, untilNul } from "./netlink-message.ts";

/** One transaction. */
export interface RulesetChange {
  /** Names of tables something of which was added or removed, in whatever family. */
  readonly tables: ReadonlySet<string>;
  /** Of the thread that made it, as the first pid namespace numbers it. */
  readonly pid: number;
  readonly program: string;
}

const subsystem = 10;
const newGeneration = 15;
/** `struct nfgenmsg`. */
const bodyBytes = 4;
/** The name of the table is the first attribute of every kind of message. */
const tableName = 1;
const generation = { pid: 2, program: 3 } as const;

export class RulesetChanges {
  #tables = new Set<string>();

  /** Whole messages, in the order they come. @returns Transactions that are complete with them. */
  take(bytes: Buffer): RulesetChange[] {
    const changes: RulesetChange[] = [];
    for (const { type, payload } of decodeMessages(bytes)) {
      if (type >> 8 !== subsystem) continue;
      const attributes = decodeAttributes(payload, bodyBytes);
      if ((type & 255) !== newGeneration) {
        this.#tables.add(untilNul(attributes.get(tableName) ?? Buffer.alloc(0)));
        continue;
      }
      const pid = attributes.get(generation.pid);
      changes.push({
        tables: this.#tables,
        pid: pid !== undefined && pid.length >= 4 ? pid.readUInt32BE(0) : 0,
        program: untilNul(attributes.get(generation.program) ?? Buffer.alloc(0)),
      });
      this.#tables = new Set();
    }
    return changes;
  }
}
