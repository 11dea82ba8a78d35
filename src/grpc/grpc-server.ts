/**
 * gRPC served on a connection one already has: HTTP/2 with prior knowledge.
 * Owns: streams, deadlines, how a call ends. Promises: every call ends with one status; its signal fires when the client
 * cancels, its deadline passes or the connection is gone. Never: listens.
 */
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { Fault } from "#spec/fault.ts";
import { GrpcError, grpcCode, RpcStatus } from "#spec/grpc-status.ts";
import type { Method } from "#spec/rpc-method.ts";
import { incoming, send } from "./message-stream.ts";
import { escapeStatusText, type Metadata, metadataOf, timeoutMs } from "./metadata.ts";

/** Calls open at once on one connection. */
export const callsMax = 250;
/** Received ahead of what a call has read, per call; HTTP/2's own 64 KiB make large transfers wait. */
export const windowBytes = 4 << 20;
/** Headers of one call. */
const headersMax = 2000;

/** A call as who answers it sees it. */
export interface ServerCall {
  readonly path: string;
  readonly metadata: Metadata;
  readonly signal: AbortSignal;
  /** Iterate once. */
  readonly requests: AsyncIterable<Uint8Array>;
  /** Says something ahead of the answer; does nothing once that has begun. */
  readonly head: (metadata: Readonly<Record<string, string>>) => void;
  /** A promise means the client is slow. @throws GrpcError when the call is over. */
  readonly send: (message: Uint8Array) => Promise<void> | undefined;
}

/** Answers a call; a throw becomes its status. */
export type Answer = (call: ServerCall) => Promise<void>;
export type Services = ReadonlyMap<string, Answer>;

/** Answers one message with one. */
export function unary<ReqOut, ReqIn, ResOut, ResIn>(
  { path, request, response }: Method<ReqOut, ReqIn, ResOut, ResIn>,
  answer: (request: ReqOut, call: ServerCall) => ResIn | Promise<ResIn>,
): [string, Answer] {
  return [
    path,
    async (call) => await call.send(response.encode(await answer(await only(call, request), call))),
  ];
}

/** Answers one message with many. */
export function streaming<ReqOut, ReqIn, ResOut, ResIn>(
  { path, request, response }: Method<ReqOut, ReqIn, ResOut, ResIn>,
  answer: (request: ReqOut, call: ServerCall, say: (message: ResIn) => Promise<void>) => Promise<void>,
): [string, Answer] {
  return [
    path,
    async (call) =>
      await answer(await only(call, request), call, async (message) => {
        const pace = call.send(response.encode(message));
        if (pace !== undefined) await pace;
      }),
  ];
}

/** The message of a call that brings one. @throws GrpcError `internal` when there is none. */
export async function only<T>(call: ServerCall, kind: { decode(bytes: Uint8Array): T }): Promise<T> {
  for await (const bytes of call.requests) return kind.decode(bytes);
  throw new GrpcError(grpcCode.internal, `${call.path} came without a message`);
}

/** Serves until the connection is closed from either side. Never throws. `report` is told what was not foreseen. */
export async function serveGrpc(
  connection: Duplex,
  services: Services,
  o: { readonly signal: AbortSignal; readonly report: (thrown: unknown, path: string) => void },
): Promise<void> {
  const server = createServer({
    settings: { initialWindowSize: windowBytes, maxConcurrentStreams: callsMax },
  });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const gone = new AbortController();
  const running = new Set<Promise<void>>();
  let session: ServerHttp2Session | undefined;
  server.on("session", (opened) => {
    session = opened;
    opened.on("error", () => undefined);
    opened.once("close", resolve);
    opened.setLocalWindowSize?.(windowBytes);
  });
  server.on("sessionError", () => connection.destroy());
  server.on("stream", (stream, headers, _flags, raw) => {
    const call = serveCall(
      stream as ServerHttp2Stream,
      { headers, raw: raw as unknown as string[] },
      services,
      {
        ...o,
        gone: gone.signal,
      },
    );
    running.add(call);
    call.finally(() => running.delete(call));
  });
  connection.once("close", resolve);
  // HTTP/2 has no half-closed connections: a client that will say nothing more is gone.
  connection.once("end", resolve);
  const stop = (): void => {
    session?.destroy();
    connection.destroy();
    resolve();
  };
  o.signal.addEventListener("abort", stop, { once: true });
  server.emit("connection", connection);
  await closed;
  o.signal.removeEventListener("abort", stop);
  gone.abort(new Fault("cancelled", "the client closed the connection"));
  await Promise.all(running);
  session?.destroy();
  connection.destroy();
}

interface CallHead {
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
  /** Alternating names and values. */
  readonly raw: readonly string[];
}

async function serveCall(
  stream: ServerHttp2Stream,
  { headers, raw }: CallHead,
  services: Services,
  o: { readonly gone: AbortSignal; readonly report: (thrown: unknown, path: string) => void },
): Promise<void> {
  const path = String(headers[":path"] ?? "");
  const left = new AbortController();
  stream.on("error", () => undefined);
  stream.once("close", () => left.abort(new Fault("cancelled", "context canceled")));
  const answer = services.get(path);
  if (answer === undefined) {
    stream.resume();
    end(stream, unimplemented(path));
    return;
  }
  const deadline = deadlineSignal(String(headers["grpc-timeout"] ?? ""));
  const signal = AbortSignal.any([o.gone, left.signal, ...deadline]);
  let status: GrpcError | undefined;
  stream.once("wantTrailers", () => sendTrailers(stream, status));
  const respond = (more: Readonly<Record<string, string>> = {}): void => {
    if (!stream.headersSent && !stream.destroyed)
      stream.respond({ ...responseHeaders, ...more }, { waitForTrailers: true });
  };
  const call: ServerCall = {
    path,
    metadata: metadataOf(raw.length / 2 > headersMax ? [] : raw),
    signal,
    requests: incoming(stream),
    head: respond,
    send: (message) => {
      respond();
      return send(stream, message);
    },
  };
  try {
    await answer(call);
  } catch (thrown) {
    status = GrpcError.from(thrown);
    const foreseen = thrown instanceof GrpcError || (thrown instanceof Fault && thrown.kind !== "internal");
    if (!foreseen && !signal.aborted) o.report(thrown, path);
  }
  if (stream.destroyed) return;
  stream.resume();
  if (stream.headersSent) stream.end();
  else end(stream, status);
}

const responseHeaders = { ":status": 200, "content-type": "application/grpc" };

function unimplemented(path: string): GrpcError {
  const [, service = "", name = ""] = path.split("/");
  return new GrpcError(grpcCode.unimplemented, `unknown method ${name} for service ${service}`);
}

function deadlineSignal(header: string): AbortSignal[] {
  const ms = timeoutMs(header);
  return ms === undefined ? [] : [AbortSignal.timeout(ms)];
}

/** Answers with a status alone. */
function end(stream: ServerHttp2Stream, status: GrpcError | undefined): void {
  stream.respond({ ...responseHeaders, ...statusHeaders(status) }, { endStream: true });
}

function sendTrailers(stream: ServerHttp2Stream, status: GrpcError | undefined): void {
  try {
    stream.sendTrailers(statusHeaders(status));
  } catch {
    // The client is gone; it wants no status.
  }
}

function statusHeaders(status: GrpcError | undefined): Record<string, string> {
  if (status === undefined) return { "grpc-status": "0" };
  const headers: Record<string, string> = {
    "grpc-status": String(status.code),
    "grpc-message": escapeStatusText(status.message),
  };
  if (status.details.length > 0)
    headers["grpc-status-details-bin"] = Buffer.from(RpcStatus.encode(status.status)).toString("base64");
  return headers;
}
