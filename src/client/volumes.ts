/** Requests about volumes (Engine API, "Volume"), and wherry's own about their files. */
import type { VolumePruneAnswer } from "#spec/docker-volume.ts";
import type { VolumeInspect, VolumeList } from "#spec/docker-wire.ts";
import { type Filters, formatFilters } from "#spec/filters.ts";
import { FilesClient } from "./archives.ts";
import type { Connection } from "./connection.ts";

export class VolumesClient {
  readonly #connection: Connection;
  readonly files: FilesClient;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.files = new FilesClient(connection, "/volumes");
  }

  async list(filters: Filters = {}): Promise<VolumeList> {
    return await this.#connection.json("GET", "/volumes", { query: { filters: formatFilters(filters) } });
  }

  async create(body: {
    readonly Name?: string;
    readonly Driver?: string;
    readonly Labels?: Record<string, string>;
    readonly DriverOpts?: Record<string, string>;
  }): Promise<VolumeInspect> {
    return await this.#connection.json("POST", "/volumes/create", { body });
  }

  async inspect(name: string): Promise<VolumeInspect> {
    return await this.#connection.json("GET", at(name));
  }

  /** Into the trash, or `now` for good. What has one `removal`, 12 hexadecimal digits, comes back together. */
  async remove(
    name: string,
    o: { readonly force?: boolean; readonly now?: boolean; readonly removal?: string } = {},
  ): Promise<void> {
    const { force, now, removal } = o;
    await this.#connection.done("DELETE", at(name), { query: { force, now, removal } });
  }

  /** A protected one is not removed. */
  async protect(name: string, on: boolean): Promise<void> {
    await this.#connection.done("POST", `${at(name)}/protect`, { query: { on } });
  }

  /** `now`: for good. `dryRun`: only says what would go. */
  async prune(
    filters: Filters,
    o: { readonly now?: boolean; readonly dryRun?: boolean } = {},
  ): Promise<VolumePruneAnswer> {
    return await this.#connection.json("POST", "/volumes/prune", {
      query: { filters: formatFilters(filters), now: o.now, dryRun: o.dryRun },
    });
  }

  /** A new volume with all that another one has. `snapshot`: labelled as one. */
  async clone(
    name: string,
    o: { readonly name: string; readonly snapshot?: boolean; readonly signal?: AbortSignal },
  ): Promise<VolumeInspect> {
    const query = { name: o.name, snapshot: o.snapshot };
    return await this.#connection.json("POST", `${at(name)}/clone`, { query, signal: o.signal });
  }

  /** A tar, plain or compressed, becomes what the volume has, its own owner and mode included. */
  async fill(name: string, tar: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#connection.done("PUT", `${at(name)}/import`, {
      stream: tar,
      contentType: "application/x-tar",
    });
  }

  async rename(name: string, to: string): Promise<void> {
    await this.#connection.done("POST", `${at(name)}/rename`, { query: { name: to } });
  }

  async restore(name: string, from: string, o: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.#connection.done("POST", `${at(name)}/restore`, { query: { from }, signal: o.signal });
  }
}

function at(name: string): string {
  return `/volumes/${encodeURIComponent(name)}`;
}
