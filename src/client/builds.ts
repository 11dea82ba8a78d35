/** What an engine built, and a way to have it build. */
import type { BuildOutcomeAnswer } from "#spec/build-outcome.ts";
import type { BuildHistoryClient } from "./build-history.ts";
import type { Connection } from "./connection.ts";
import type { BuildOrder, RunningBuild } from "./running-build.ts";

/** What became of pruning. */
export interface BuildsPruned {
  readonly CachesDeleted: string[] | null;
  readonly SpaceReclaimed: number;
}

export class BuildsClient {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** @throws Fault `invalid` for filters and sizes that are none. */
  async prune(query: Readonly<Record<string, string | boolean | number | undefined>>): Promise<BuildsPruned> {
    return await this.#connection.json("POST", "/build/prune", { query });
  }

  /** The last build of each context, the newest first. Of a wherry engine. */
  async outcomes(): Promise<BuildOutcomeAnswer[]> {
    return await this.#connection.json("GET", "/build/outcomes");
  }

  /** What was built before. Dispose to close the connection. */
  async history(signal: AbortSignal): Promise<BuildHistoryClient> {
    const [{ upgradeToHttp2 }, { GrpcChannel: Channel }, { BuildHistoryClient: History }] = await Promise.all(
      [import("./hijack.ts"), import("#grpc/grpc-channel.ts"), import("./build-history.ts")],
    );
    return new History(new Channel(await upgradeToHttp2(this.#connection, "/grpc")), signal);
  }

  /** Opens both connections; dispose to close them, which calls off what is not over. */
  async open(order: BuildOrder): Promise<RunningBuild> {
    // Loaded here: most commands never need it, nor BuildKit's messages.
    const { openBuild } = await import("./running-build.ts");
    return await openBuild(this.#connection, order);
  }
}
