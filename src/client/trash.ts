/** Requests about removed volumes that are kept for a while: wherry's own. */
import type { VolumeInspect } from "#spec/docker-wire.ts";
import type { TrashedVolume } from "#spec/trash.ts";
import type { Connection } from "./connection.ts";

export class TrashClient {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Newest first. */
  async list(): Promise<TrashedVolume[]> {
    return await this.#connection.json("GET", "/trash");
  }

  /** `id`: of a removal or an entry, or a volume's name; the last removal by default. `name`: another one for it. */
  async restore(o: {
    readonly id?: string | undefined;
    readonly name?: string | undefined;
  }): Promise<VolumeInspect[]> {
    return await this.#connection.json("POST", "/trash/restore", { query: o });
  }

  /** For good: entries and removals of these ids, or all that is there. */
  async empty(ids: readonly string[]): Promise<{ SpaceReclaimed: number }> {
    return await this.#connection.json("DELETE", "/trash", { query: { id: ids } });
  }
}
