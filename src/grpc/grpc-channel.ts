/**
 * gRPC asked on a connection one already has: HTTP/2 with prior knowledge, this side speaks first.
 * Owns: the HTTP/2 session. Promises: a call that is cancelled is reset; all calls end when the connection does.
 * Dispose to close.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { Duplex } from "node:stream";
import { Fault } from "#spec/fault.ts";
import { GrpcError, grpcCode, RpcStatus } from "#spec/grpc-status.ts";
import type { Method } from "#spec/rpc-method.ts";
import { windowBytes } from "./grpc-server.ts";
import { incoming, send } from "./message-stream.ts";
import { type Metadata, unescapeStatusText } from "./metadata.ts";

export interface CallOptions {
  readonly metadata?: Metadata | undefined;
  readonly signal: AbortSignal;
}

/** A call with any number of messages both ways. Dispose to cancel what is not over. */
export interface ClientCall<In, Out> extends Disposable {
  /** Iterate once. @throws GrpcError for a status that is not OK, when all messages were read. */
  readonly responses: AsyncIterable<Out>;
  /** Waits while the peer is slow. */
  send(message: In): Promise<void>;
  /** No more will be sent. */
  end(): void;
}

export class GrpcChannel implements Disposable {
  readonly #session: ClientHttp2Session;
  readonly #closed = new AbortController();

  constructor(connection: Duplex) {
    this.#session = connect("http://localhost", {
      createConnection: () => connection,
      settings: { initialWindowSize: windowBytes, enablePush: false },
    });
    this.#session.on("error", () => undefined);
    const gone = (): void => this.#closed.abort(new Fault("cancelled", "the client closed its session"));
    this.#session.once("close", gone);
    connection.once("close", gone);
    connection.once("end", gone);
    this.#session.once("connect", () => this.#session.setLocalWindowSize?.(windowBytes));
  }

  /** Fires when the connection is gone. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** One message for one. @throws GrpcError. */
  async ask<ReqOut, ReqIn, ResOut, ResIn>(
    method: Method<ReqOut, ReqIn, ResOut, ResIn>,
    request: ReqIn,
    o: CallOptions,
  ): Promise<ResOut> {
    using call = this.open(method, o);
    await call.send(request);
    call.end();
    let answer: ResOut | undefined;
    for await (const message of call.responses) answer = message;
    if (answer === undefined) throw new GrpcError(grpcCode.internal, `${method.path} gave no answer`);
    return answer;
  }

  /** @throws GrpcError `unavailable` when the connection is gone. */
  open<ReqOut, ReqIn, ResOut, ResIn>(
    { path, request, response }: Method<ReqOut, ReqIn, ResOut, ResIn>,
    o: CallOptions,
  ): ClientCall<ReqIn, ResOut> {
    o.signal.throwIfAborted();
    if (this.#session.destroyed || this.#closed.signal.aborted)
      throw new GrpcError(grpcCode.unavailable, "the client closed its session");
    const stream = this.#session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(o.metadata as Record<string, string[]>),
    });
    const ended = new CallEnd(stream);
    const cancel = (): void => stream.close(constants.NGHTTP2_CANCEL);
    o.signal.addEventListener("abort", cancel, { once: true });
    stream.once("close", () => o.signal.removeEventListener("abort", cancel));
    return {
      responses: decoded(stream, ended, response, o.signal),
      send: async (message) => await send(stream, request.encode(message)),
      end: () => {
        stream.end();
      },
      [Symbol.dispose]: () => {
        if (!stream.closed && !stream.destroyed) cancel();
      },
    };
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

async function* decoded<Out>(
  stream: ClientHttp2Stream,
  ended: CallEnd,
  kind: { decode(bytes: Uint8Array): Out },
  signal: AbortSignal,
): AsyncGenerator<Out, void, undefined> {
  try {
    for await (const message of incoming(stream)) yield kind.decode(message);
  } catch (thrown) {
    signal.throwIfAborted();
    if (ended.status === undefined) throw GrpcError.from(thrown);
  }
  signal.throwIfAborted();
  await ended.check();
}

/** How a call ended: trailers, or headers alone. */
class CallEnd {
  status: GrpcError | "ok" | undefined;
  readonly #closed: Promise<void>;

  constructor(stream: ClientHttp2Stream) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    stream.on("error", () => undefined);
    stream.once("response", (headers) => this.#take(headers));
    stream.once("trailers", (headers) => {
      this.#take(headers);
      resolve();
    });
    stream.once("close", resolve);
  }

  #take(headers: Readonly<Record<string, unknown>>): void {
    const code = headers["grpc-status"];
    if (code === undefined) return;
    if (Number(code) === grpcCode.ok) {
      this.status = "ok";
      return;
    }
    const details = headers["grpc-status-details-bin"];
    const status =
      typeof details === "string" ? RpcStatus.decode(Buffer.from(details, "base64")) : { details: [] };
    const text = unescapeStatusText(String(headers["grpc-message"] ?? ""));
    this.status = new GrpcError(Number(code), text, status.details);
  }

  /** @throws GrpcError unless the call ended well. */
  async check(): Promise<void> {
    if (this.status === undefined) await this.#closed;
    if (this.status === undefined)
      throw new GrpcError(grpcCode.unavailable, "the connection broke off before the answer");
    if (this.status !== "ok") throw this.status;
  }
}
