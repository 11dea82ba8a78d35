/** Builds, as BuildKit's clients ask for them: over two connections, one to ask and one to be asked on. */
import type { GrpcChannel } from "#grpc/grpc-channel.ts";
import type { Services } from "#grpc/grpc-server.ts";
import type { BuildOutcomeAnswer } from "#spec/build-outcome.ts";
import { control, type SolveRequest, type StatusRead } from "#spec/buildkit-control.ts";
import { buildIdHeader, gateway } from "#spec/buildkit-gateway.ts";
import { exposeHeader } from "#spec/buildkit-session.ts";
import type { BuildHistoryClient } from "./build-history.ts";
import type { Connection } from "./connection.ts";

/** What became of pruning. */
export interface BuildsPruned {
  readonly CachesDeleted: string[] | null;
  readonly SpaceReclaimed: number;
}

export interface BuildOrder {
  /** BuildKit's frontend attributes by their own names. */
  readonly options: Readonly<Record<string, string>>;
  readonly exporters: SolveRequest["Exporters"];
  readonly cacheExports?: SolveRequest["Exporters"];
  readonly cacheImports?: SolveRequest["Exporters"];
  readonly entitlements?: readonly string[];
  /** Equal for contexts of one directory: then only what changed is sent. */
  readonly sharedKey: string;
  /** What the engine may ask while the build runs. */
  readonly services: Services;
  readonly signal: AbortSignal;
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
    // Loaded here: most commands never need it.
    const [{ upgradeToHttp2 }, { GrpcChannel: Channel }, { serveGrpc }] = await Promise.all([
      import("./hijack.ts"),
      import("#grpc/grpc-channel.ts"),
      import("#grpc/grpc-server.ts"),
    ]);
    const session = randomId();
    const methods = [...order.services.keys()].map((path) => [exposeHeader.method, path] as const);
    const head = [[exposeHeader.id, session] as const, [exposeHeader.sharedKey, order.sharedKey] as const];
    const [asked, asking] = await Promise.all([
      upgradeToHttp2(this.#connection, "/session", [...head, ...methods]),
      upgradeToHttp2(this.#connection, "/grpc"),
    ]);
    void serveGrpc(asked, order.services, { signal: order.signal, report: () => undefined });
    const channel = new Channel(asking);
    return new RunningBuild(channel, order, session, () => asked.destroy());
  }
}

export class RunningBuild implements Disposable {
  readonly #channel: GrpcChannel;
  readonly #order: BuildOrder;
  readonly #session: string;
  readonly #leave: () => void;
  readonly #ref = randomId();

  constructor(channel: GrpcChannel, order: BuildOrder, session: string, leave: () => void) {
    this.#channel = channel;
    this.#order = order;
    this.#session = session;
    this.#leave = leave;
  }

  /** Resolves with what the exporters answered. @throws GrpcError, with the place in the Dockerfile among its details. */
  async result(): Promise<Readonly<Record<string, string>>> {
    const { options, exporters, signal, entitlements, cacheExports, cacheImports } = this.#order;
    const request = {
      ...{ Ref: this.#ref, Session: this.#session, Frontend: "dockerfile.v0", FrontendAttrs: options },
      ...{ Exporters: exporters, Entitlements: entitlements },
      Cache: { Exports: cacheExports, Imports: cacheImports },
    };
    const { ExporterResponse } = await this.#channel.ask(control.solve, request, { signal });
    return ExporterResponse;
  }

  /** What it tells, to its end. */
  async *status(): AsyncGenerator<StatusRead, void, undefined> {
    using call = this.#channel.open(control.status, { signal: this.#order.signal });
    await call.send({ Ref: this.#ref });
    call.end();
    yield* call.responses;
  }

  /** Asks about the Dockerfile (`requestid` among the options) instead of building it. @throws GrpcError. */
  async answer(): Promise<Readonly<Record<string, Uint8Array>>> {
    const { options, signal } = this.#order;
    const request = { Ref: this.#ref, Session: this.#session, Internal: true };
    const whole = this.#channel.ask(control.solve, request, { signal });
    whole.catch(() => undefined);
    const metadata = { [buildIdHeader]: [this.#ref] };
    const asked = { Frontend: "dockerfile.v0", FrontendOpt: options, allowResultReturn: true };
    const { result } = await this.#channel.ask(gateway.solve, asked, { signal, metadata });
    await this.#channel.ask(gateway.return, {}, { signal, metadata });
    await whole;
    return result?.metadata ?? {};
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
    this.#leave();
  }
}

const letters = "0123456789abcdefghijklmnopqrstuvwxyz";

/** 25 letters and digits, as BuildKit's. */
function randomId(): string {
  return [...crypto.getRandomValues(new Uint8Array(25))].map((byte) => letters[byte % 36]).join("");
}
