/**
 * The engine's nftables table.
 * Owns: the table. Promises: each change takes effect as a whole; what was never there needs no removal.
 * Never: another program's tables.
 */
import { runNft } from "#kernel/nftables.ts";
import { Fault } from "#spec/fault.ts";
import type { PublishedPort } from "#spec/network.ts";
import {
  addNetwork,
  addPorts,
  type BridgedNetwork,
  deleteNetwork,
  deletePorts,
  type PublishedTarget,
  replaceTable,
} from "./ruleset.ts";

export class Firewall {
  readonly #table: string;

  constructor(table: string) {
    this.#table = table;
  }

  /** The table anew, with exactly these. */
  replace(networks: readonly BridgedNetwork[], published: readonly PublishedTarget[]): void {
    runNft(replaceTable({ table: this.#table, networks, published }));
  }

  addNetwork(network: BridgedNetwork): void {
    runNft(addNetwork(this.#table, network));
  }

  removeNetwork(network: BridgedNetwork): void {
    ignoreMissing(() => runNft(deleteNetwork(this.#table, network)));
  }

  publish(published: readonly PublishedTarget[]): void {
    if (published.length > 0) runNft(addPorts(this.#table, published));
  }

  /** Idempotent. In one step; one by one where some are not there. */
  unpublish(ports: readonly PublishedPort[]): void {
    if (ports.length === 0) return;
    try {
      runNft(deletePorts(this.#table, ports));
    } catch {
      for (const port of ports) ignoreMissing(() => runNft(deletePorts(this.#table, [port])));
    }
  }
}

/** An element that was never made, or that went with its table, needs no removal. */
function ignoreMissing(work: () => void): void {
  try {
    work();
  } catch (thrown) {
    if (!/No such file or directory|does not exist/.test(Fault.from(thrown).message)) throw thrown;
  }
}
