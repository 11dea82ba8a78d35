/**
 * One client connection: requests in, answers out, in order.
 * Owns: keep-alive, pipelining, 100-continue, the pace of both sides, hijacking, closing without losing the answer.
 * Promises: every request gets one answer or a closed connection. Never: knows routes.
 */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Fault } from "#spec/fault.ts";
import { HijackedStream } from "./hijacked-stream.ts";
import { Inbox } from "./inbox.ts";
import { drained, Outlet } from "./outlet.ts";
import { errorReply, type HijackReply, messageReply, type Reply, type ReplyHeaders } from "./reply.ts";
import { RequestBody } from "./request-body.ts";
import { HeadParser, MalformedRequest, type RequestHead } from "./request-head.ts";

/** From the first byte of a head to its last. */
export const headTimeoutMs = 30_000;
/** How long the client may take to read the answer and close, once everything is sent. */
const lingerMs = 500;

/** How HTTP/2 begins when the client knows beforehand that it is spoken (RFC 9113, 3.4). */
const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n");

/** So far. */
function beginsHttp2(bytes: Uint8Array): boolean {
  const length = Math.min(bytes.length, http2Preface.length);
  return http2Preface.subarray(0, length).equals(bytes.subarray(0, length));
}

/** What a handler is given besides head and body. */
export interface Exchange {
  readonly head: RequestHead;
  readonly body: RequestBody;
  /** Aborted when the client goes away before it has its answer, and when the server stops waiting for it. */
  readonly signal: AbortSignal;
}

export type Handle = (exchange: Exchange) => Promise<Reply>;

export interface ConnectionOptions {
  readonly handle: Handle;
  /** Headers of every answer that is not a hijack. */
  readonly headers: ReplyHeaders;
  /** From the first byte of a head to its last. */
  readonly headTimeoutMs?: number;
  /** Serves a connection that begins with HTTP/2's preface, until it or the signal ends. */
  readonly http2?: (connection: Duplex, gone: AbortSignal) => Promise<void>;
  /** Told about what went wrong while an answer was streamed. */
  readonly report: (thrown: unknown, exchange: Exchange) => void;
}

export class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #inbox: Inbox;
  readonly #parser = new HeadParser();
  #phase: "idle" | "deciding" | "streaming" = "idle";
  #abort: AbortController | undefined;
  #closing = false;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#inbox = new Inbox(socket);
    socket.setNoDelay(true);
    socket.on("error", ignoreBrokenConnection);
  }

  /** Serves until the client leaves or `close` is called. Never throws. The socket is destroyed at the end. */
  async serve(): Promise<void> {
    try {
      while (!this.#closing && (await this.#exchange()));
    } catch (thrown) {
      if (thrown instanceof MalformedRequest)
        this.#sendFixed(messageReply(thrown.status, thrown.message), false);
    } finally {
      this.#phase = "idle";
      await this.#part();
    }
  }

  /**
   * Takes no further request. Idle connections and endless answers end at once; an answer that is being worked out is
   * still sent.
   */
  close(): void {
    this.#closing = true;
    if (this.#phase === "idle") this.#socket.destroy();
    if (this.#phase === "streaming")
      this.#abort?.abort(new Fault("unavailable", "the engine is shutting down; try again when it is back"));
  }

  /** Cuts the connection, whatever goes on. */
  destroy(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  /** One request and its answer; false when the connection is of no further use. */
  async #exchange(): Promise<boolean> {
    const head = await this.#readHead();
    if (head === undefined) return false;
    const abort = new AbortController();
    this.#abort = abort;
    this.#phase = "deciding";
    const exchange = { head, body: this.#body(head), signal: abort.signal };
    this.#inbox.whenGone(() => abort.abort(new Fault("cancelled", "the client closed the connection")));
    try {
      const reply = await this.#options.handle(exchange).catch(errorReply);
      this.#phase = "streaming";
      return await this.#send(reply, exchange, abort);
    } finally {
      this.#inbox.whenGone(undefined);
      this.#abort = undefined;
      this.#phase = "idle";
    }
  }

  #body(head: RequestHead): RequestBody {
    const waits = head.minorVersion === 1 && head.headers.get("expect")?.toLowerCase() === "100-continue";
    return new RequestBody(
      this.#inbox,
      head.framing,
      waits ? () => this.#socket.write("HTTP/1.1 100 Continue\r\n\r\n") : undefined,
    );
  }

  /** @throws MalformedRequest 408 when it takes too long once it has begun. */
  async #readHead(): Promise<RequestHead | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const { promise: late, reject } = Promise.withResolvers<never>();
    late.catch(() => undefined);
    const expire = (): void =>
      reject(new MalformedRequest(408, "the request's headers did not come in time"));
    let preface: Uint8Array = new Uint8Array();
    try {
      for (;;) {
        const read = await (timer === undefined
          ? this.#inbox.read()
          : Promise.race([this.#inbox.read(), late]));
        if (read === undefined) return undefined;
        const chunk = preface.length === 0 ? read : Buffer.concat([preface, read]);
        const begins = this.#options.http2 !== undefined && !this.#parser.begun && beginsHttp2(chunk);
        if (begins && chunk.length >= http2Preface.length) {
          this.#inbox.unread(chunk);
          clearTimeout(timer);
          await this.#serveHttp2();
          return undefined;
        }
        // It may come byte by byte, and begins as POST does.
        preface = begins ? chunk : new Uint8Array();
        const found = begins ? undefined : this.#parser.feed(chunk);
        if (found !== undefined) {
          this.#inbox.unread(chunk.subarray(found.consumed));
          return found.head;
        }
        timer ??= setTimeout(expire, this.#options.headTimeoutMs ?? headTimeoutMs);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #serveHttp2(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.#phase = "streaming";
    this.#socket.once("close", () => abort.abort(new Fault("cancelled", "the client closed the connection")));
    await this.#options.http2?.(new HijackedStream(this.#socket, this.#inbox), abort.signal);
  }

  async #send(reply: Reply, exchange: Exchange, abort: AbortController): Promise<boolean> {
    const { head, body } = exchange;
    if (reply.kind === "hijack") {
      await this.#hijack(reply, exchange, abort);
      return false;
    }
    if (reply.kind === "fixed") {
      const keepAlive = head.keepAlive && !this.#closing && (await body.drain());
      this.#sendFixed(reply, keepAlive, head.method === "HEAD");
      if (this.#socket.writableNeedDrain) await drained(this.#socket);
      return keepAlive;
    }
    const chunked = head.minorVersion === 1;
    this.#sendHead(reply.status, STATUS_CODES[reply.status] ?? "", {
      ...this.#options.headers,
      ...reply.headers,
      ...(chunked ? { "Transfer-Encoding": "chunked" } : { Connection: "close" }),
    });
    if (head.method === "HEAD") return false;
    const outlet = new Outlet(this.#socket, { chunked });
    try {
      await reply.write(outlet);
    } catch (thrown) {
      if (!abort.signal.aborted) this.#options.report(thrown, exchange);
      outlet.flush();
      return false;
    }
    outlet.end();
    return chunked && head.keepAlive && (await body.drain());
  }

  async #hijack(reply: HijackReply, exchange: Exchange, abort: AbortController): Promise<void> {
    if (!(await exchange.body.drain())) return;
    this.#inbox.whenGone(undefined);
    const gone = (): void => abort.abort(new Fault("cancelled", "the client closed the connection"));
    this.#socket.once("close", gone);
    if (this.#socket.destroyed) gone();
    if (reply.ownHead !== true) this.#sendHead(reply.status, reply.statusText, reply.headers);
    const output = new Outlet(this.#socket, { chunked: false });
    try {
      await reply.run({
        input: chunksOf(this.#inbox),
        output,
        gone: abort.signal,
        duplex: () => new HijackedStream(this.#socket, this.#inbox),
      });
      output.flush();
    } catch (thrown) {
      if (!abort.signal.aborted) this.#options.report(thrown, exchange);
    } finally {
      this.#socket.off("close", gone);
    }
  }

  #sendFixed(reply: Reply & { kind: "fixed" }, keepAlive: boolean, withoutBody = false): void {
    const bodiless = reply.status === 204 || reply.status === 304;
    const headers: ReplyHeaders & { Connection?: string; "Content-Length"?: string } = {
      ...this.#options.headers,
      ...reply.headers,
    };
    if (!bodiless) headers["Content-Length"] = String(Buffer.byteLength(reply.body));
    if (!keepAlive) headers.Connection = "close";
    const body = bodiless || withoutBody ? "" : reply.body;
    this.#sendHead(reply.status, STATUS_CODES[reply.status] ?? "", headers, body);
  }

  #sendHead(status: number, statusText: string, headers: ReplyHeaders, body = ""): void {
    if (this.#socket.destroyed || !this.#socket.writable) return;
    let head = `HTTP/1.1 ${status} ${statusText}\r\n`;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    this.#socket.write(`${head}Date: ${httpDate()}\r\n\r\n${body}`);
  }

  /**
   * Closes the sending half, then waits a moment for the client to close: a socket closed with unread bytes makes the
   * kernel reset the connection, and the client may lose the answer it has not read yet.
   */
  async #part(): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) return;
    await new Promise<void>((resolve) => {
      socket.once("close", () => resolve());
      socket.end(() => resolve());
    });
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    while ((await this.#inbox.read()) !== undefined);
    clearTimeout(timer);
    socket.destroy();
  }
}

async function* chunksOf(inbox: Inbox): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const chunk = await inbox.read();
    if (chunk === undefined) return;
    yield chunk;
  }
}

let dateSecond = 0;
let dateText = "";

function httpDate(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(second * 1000).toUTCString();
  }
  return dateText;
}

/** `close` follows every `error`, and that is what the connection listens to. */
function ignoreBrokenConnection(): void {}
