/** The part of the API that is about networks. */
import type { EndpointSettings } from "#spec/container.ts";
import type { NameTraceAnswer, NetworkAuditAnswer, NetworkCreateBody } from "#spec/docker-network.ts";
import type { NetworkInspect } from "#spec/docker-wire.ts";
import { type Filters, formatFilters } from "#spec/filters.ts";
import type { Connection } from "./connection.ts";

export type { NetworkCreateBody };

export class NetworksClient {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async list(filters: Filters = {}): Promise<NetworkInspect[]> {
    return await this.#connection.json("GET", "/networks", { query: { filters: formatFilters(filters) } });
  }

  async inspect(name: string, o: { readonly verbose?: boolean } = {}): Promise<NetworkInspect> {
    return await this.#connection.json("GET", at(name), { query: { verbose: o.verbose } });
  }

  async create(body: NetworkCreateBody): Promise<{ Id: string; Warning: string }> {
    return await this.#connection.json("POST", "/networks/create", { body });
  }

  async remove(name: string): Promise<void> {
    await this.#connection.done("DELETE", at(name));
  }

  async prune(filters: Filters = {}): Promise<{ NetworksDeleted: string[] | null }> {
    return await this.#connection.json("POST", "/networks/prune", {
      query: { filters: formatFilters(filters) },
    });
  }

  async connect(
    name: string,
    body: { readonly Container: string; readonly EndpointConfig?: EndpointSettings },
  ): Promise<void> {
    await this.#connection.done("POST", `${at(name)}/connect`, { body });
  }

  async disconnect(
    name: string,
    body: { readonly Container: string; readonly Force?: boolean },
  ): Promise<void> {
    await this.#connection.done("POST", `${at(name)}/disconnect`, { body });
  }

  /** Where a container's answer to a name comes from; of this engine alone. */
  async trace(
    container: string,
    o: { readonly name: string; readonly type: string },
  ): Promise<NameTraceAnswer> {
    return await this.#connection.json("GET", `/containers/${encodeURIComponent(container)}/resolve`, {
      query: o,
    });
  }

  /** What is reachable from where; of this engine alone. */
  async audit(o: { readonly probe: boolean }): Promise<NetworkAuditAnswer> {
    return await this.#connection.json("GET", "/networks/audit", { query: { probe: o.probe } });
  }
}

function at(name: string): string {
  return `/networks/${encodeURIComponent(name)}`;
}
