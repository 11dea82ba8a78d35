/** Builds, as BuildKit's clients ask for them: over two connections, one to ask and one to be asked on. */
import { GrpcChannel } from "#grpc/grpc-channel.ts";
import { type Services, serveGrpc } from "#grpc/grpc-server.ts";
import { control, type SolveRequest, type StatusRead } from "#spec/buildkit-control.ts";
import { buildIdHeader, gateway } from "#spec/buildkit-gateway.ts";
import { exposeHeader } from "#spec/buildkit-session.ts";
import type { Connection } from "./connection.ts";
import { upgradeToHttp2 } from "./hijack.ts";

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

export async function openBuild(connection: Connection, order: BuildOrder): Promise<RunningBuild> {
  const session = randomId();
  const methods = [...order.services.keys()].map((path) => [exposeHeader.method, path] as const);
  const head = [[exposeHeader.id, session] as const, [exposeHeader.sharedKey, order.sharedKey] as const];
  const [asked, asking] = await Promise.all([
    upgradeToHttp2(connection, "/session", [...head, ...methods]),
    upgradeToHttp2(connection, "/grpc"),
  ]);
  void serveGrpc(asked, order.services, { signal: order.signal, report: () => undefined });
  return new RunningBuild(new GrpcChannel(asking), order, session, () => asked.destroy());
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
