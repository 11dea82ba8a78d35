/**
 * Networks as requests see them: made, removed, and containers put on them and taken off.
 * Owns: what a request means for a container's record and its name files, and the events. Promises: a container's record
 * and its sandbox change in the container's turn, the record first; a fault leaves both as they were.
 */

import type { Emit } from "#engine/emit.ts";
import { containerAttributes } from "#engine/event-attributes.ts";
import type { ContainerIndex } from "#engine/lifecycle/container-index.ts";
import type { Launch } from "#engine/lifecycle/launch.ts";
import { isLive } from "#engine/lifecycle/lifecycle.ts";
import type { Supervisor } from "#engine/lifecycle/supervisor.ts";
import type { NetworkPart } from "#engine/parts.ts";
import type { ContainerRecord, EndpointSettings } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import {
  type AuditRow,
  type Endpoint,
  type NameTrace,
  type NetworkCreateRequest,
  type NetworkRecord,
  predefinedNetworks,
} from "#spec/network.ts";
import { changedPorts, type PortChanges } from "./port-changes.ts";

export interface NetworkDeskParts {
  readonly index: ContainerIndex;
  readonly network: NetworkPart;
  readonly launch: Pick<Launch, "files" | "hostname">;
  readonly supervisor: Pick<Supervisor, "exclusively">;
  readonly emit: Emit;
}

export interface NetworkMember {
  readonly containerId: string;
  readonly name: string;
  readonly endpoint: Endpoint;
}

export class NetworkDesk {
  readonly #parts: NetworkDeskParts;

  constructor(parts: NetworkDeskParts) {
    this.#parts = parts;
  }

  list(): NetworkRecord[] {
    return this.#parts.network.list();
  }

  /** @throws Fault `not-found`. */
  get(reference: string): NetworkRecord {
    return this.#parts.network.get(reference);
  }

  /** What of the host is in its way, in sentences. */
  warnings(network: NetworkRecord): string[] {
    return this.#parts.network.warnings(network);
  }

  /** Running containers on it. */
  members(networkId: string): NetworkMember[] {
    return this.#parts.network.members(networkId);
  }

  async create(request: NetworkCreateRequest): Promise<{ id: string; warning: string }> {
    const { network, warning } = await this.#parts.network.create(request);
    this.#emit("create", network);
    return { id: network.id, warning };
  }

  async remove(reference: string): Promise<void> {
    this.#emit("destroy", await this.#parts.network.remove(reference));
  }

  /** Removes those that `wanted` says may go and no running container is on. @returns Their names. */
  async prune(wanted: (network: NetworkRecord) => boolean): Promise<string[]> {
    const removed: string[] = [];
    for (const network of this.list()) {
      const stays = predefinedNetworks.includes(network.name) || network.configOnly || !wanted(network);
      if (stays || this.members(network.id).length > 0) continue;
      await this.remove(network.id);
      removed.push(network.name);
    }
    this.#parts.emit("network", "prune", "", { reclaimed: "0" });
    return removed;
  }

  /** @throws Fault in dockerd's words when the two do not go together. */
  async connect(
    reference: string,
    o: { readonly container: string; readonly settings: EndpointSettings },
  ): Promise<void> {
    const { index, network: networks, supervisor } = this.#parts;
    const network = networks.get(reference);
    const { id } = index.get(o.container);
    await supervisor.exclusively(id, async () => {
      const before = index.get(id);
      checkCompany(before, network);
      networks.check(network.id, o.settings);
      const endpoints = { ...before.endpoints, [network.name]: o.settings };
      index.put({ ...before, endpoints });
      try {
        if (isLive(before)) await this.#plug(before, network, o.settings);
      } catch (thrown) {
        index.put(before);
        throw thrown;
      }
    });
  }

  async #plug(record: ContainerRecord, network: NetworkRecord, settings: EndpointSettings): Promise<void> {
    const { network: networks } = this.#parts;
    const before = networks.sandbox(record.id);
    const after = await networks.connect(this.#member(record), network, settings);
    if (before === undefined || after === undefined) return;
    await networks.editFiles(record, { before, after, ...this.#place(record) });
    this.#emit("connect", network, { container: record.id });
  }

  /** With `force` also from a network that a container is on that is known no more. */
  async disconnect(
    reference: string,
    o: { readonly container: string; readonly force: boolean },
  ): Promise<void> {
    const { index, network: networks, supervisor } = this.#parts;
    const network = networks.get(reference);
    const id = this.#memberId(o);
    await supervisor.exclusively(id, async () => {
      const record = index.get(id);
      if (network.driver === "host" || record.endpoints["host"] !== undefined)
        throw new Fault("invalid", hostConflict);
      const { [network.name]: gone, ...endpoints } = record.endpoints;
      if (gone === undefined)
        throw new Fault("internal", `container ${record.id} is not connected to network ${network.name}`);
      await this.#unplug(record, network);
      index.put({ ...record, endpoints });
      this.#emit("disconnect", network, { container: record.id });
    });
  }

  async #unplug(record: ContainerRecord, network: NetworkRecord): Promise<void> {
    const { network: networks } = this.#parts;
    const before = networks.sandbox(record.id);
    if (before === undefined || !(await networks.disconnect(this.#member(record), network))) return;
    const after = networks.sandbox(record.id) ?? before;
    await networks.editFiles(record, { before, after, ...this.#place(record) });
  }

  /**
   * Opens and closes ports of a container, at once when it runs; what stays open is not touched.
   * @throws Fault `not-found` for a port that is not published; `conflict` where the container has no ports of its own.
   */
  async publish(reference: string, changes: PortChanges): Promise<void> {
    const { emit, index, network, supervisor } = this.#parts;
    const { id } = index.get(reference);
    await supervisor.exclusively(id, async () => {
      const before = index.get(id);
      const mode = before.host.NetworkMode ?? "";
      if (before.desired === "removed" || mode === "host" || mode.startsWith("container:"))
        throw new Fault(
          "conflict",
          `ports of container ${before.name} cannot be changed: it ${before.desired === "removed" ? "is marked for removal" : `shares the network of another (${mode})`}`,
        );
      const after = { ...before, ...changedPorts(before, changes) };
      index.put(after);
      try {
        if (isLive(before)) await network.republish(this.#member(after));
      } catch (thrown) {
        index.put(before);
        throw thrown;
      }
    });
    emit("container", "update", id, containerAttributes(index.get(id)));
  }

  #memberId(o: { readonly container: string; readonly force: boolean }): string {
    try {
      return this.#parts.index.get(o.container).id;
    } catch (thrown) {
      if (o.force) throw new Fault("not-found", `endpoint ${o.container} not found`, { cause: thrown });
      throw thrown;
    }
  }

  async audit(o: {
    readonly probe: boolean;
    readonly signal: AbortSignal;
  }): Promise<{ readonly firewall: string; readonly rows: readonly AuditRow[] }> {
    return await this.#parts.network.audit(o);
  }

  async trace(
    container: string,
    o: { readonly name: string; readonly type: "A" | "AAAA"; readonly signal: AbortSignal },
  ): Promise<NameTrace> {
    const { index, launch, network } = this.#parts;
    const record = index.get(container);
    // Who shares another's network has its name files, too.
    const joined = /^container:(.+)$/.exec(record.host.NetworkMode ?? "")?.[1];
    const files = launch.files(joined === undefined ? record.id : index.get(joined).id);
    return await network.trace(record.id, { ...o, files });
  }

  #member(record: ContainerRecord) {
    const { id, name, config, host } = record;
    return { containerId: id, name, hostname: this.#parts.launch.hostname(record), config, host };
  }

  #place(record: ContainerRecord) {
    return { files: this.#parts.launch.files(record.id), hostname: this.#parts.launch.hostname(record) };
  }

  #emit(action: string, network: NetworkRecord, more: Readonly<Record<string, string>> = {}): void {
    this.#parts.emit("network", action, network.id, { ...more, name: network.name, type: network.driver });
  }
}

const hostConflict = "container cannot be disconnected from host network or connected to host network";
const sharedConflict =
  "container sharing network namespace with another container or host cannot be connected to any other network";
const noneConflict =
  "container cannot be connected to multiple networks with one of the networks in private (none) mode";

function checkCompany({ id, desired, endpoints, host, name }: ContainerRecord, network: NetworkRecord): void {
  if (desired === "removed")
    throw new Fault(
      "conflict",
      `container ${id} is marked for removal and cannot be connected or disconnected`,
    );
  if ((host.NetworkMode ?? "").startsWith("container:") || endpoints["host"] !== undefined)
    throw new Fault("invalid", sharedConflict);
  if (network.driver === "host") throw new Fault("invalid", hostConflict);
  const others = Object.keys(endpoints).filter((each) => each !== network.name);
  if (endpoints["none"] !== undefined || (network.driver === "null" && others.length > 0))
    throw new Fault("invalid", noneConflict);
  if (endpoints[network.name] !== undefined)
    throw new Fault("denied", `endpoint with name ${name} already exists in network ${network.name}`);
}
