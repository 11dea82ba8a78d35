/**
 * A hijacked connection that speaks WebSocket (RFC 6455), seen as one that carries bytes.
 * The codec is websocket-driver: it knows the protocol and leaves the connection alone, which here is not node's http.
 * Bun has its own in place of `ws`, for its own server only.
 */
import websocket from "websocket-driver";
import type { ApiRequest } from "./api-request.ts";
import type { Sink } from "./outlet.ts";
import type { Hijacked, HijackReply } from "./reply.ts";

/** Of one message from a client, all its frames together. */
export const socketMessageBytesMax = 8 << 20;

type Driver = ReturnType<typeof websocket.http>;

function driverRequest(request: ApiRequest) {
  return { method: request.method, url: "/", headers: Object.fromEntries(request.headers) };
}

export function isWebSocket(request: ApiRequest): boolean {
  return websocket.isWebSocket(driverRequest(request));
}

/** `binary`: messages are bytes; otherwise texts. Handshake, pings and closing are seen to. */
export function webSocketReply(
  request: ApiRequest,
  o: { readonly binary: boolean },
  run: (connection: Pick<Hijacked, "input" | "output" | "gone">) => Promise<void>,
): HijackReply {
  const limits = { maxLength: socketMessageBytesMax, requireMasking: true };
  const driver = websocket.http(driverRequest(request), limits);
  return {
    kind: "hijack",
    status: 101,
    statusText: "Switching Protocols",
    headers: {},
    ownHead: true,
    run: async (connection) => {
      const socket = new WebSocketConnection(driver, connection, o.binary);
      if (driver.start()) await run(socket);
      await socket.close();
    },
  };
}

class WebSocketConnection {
  readonly gone: AbortSignal;
  readonly output: Sink;
  readonly #driver: Driver;
  readonly #connection: Hijacked;
  readonly #left = new AbortController();
  readonly #messages: Uint8Array[] = [];
  /** Set while the client takes no more. */
  #pace: Promise<void> | undefined;
  #open = true;

  constructor(driver: Driver, connection: Hijacked, binary: boolean) {
    this.#driver = driver;
    this.#connection = connection;
    this.gone = AbortSignal.any([connection.gone, this.#left.signal]);
    const decoder = new TextDecoder();
    this.output = {
      write: (bytes) => {
        this.#pace = undefined;
        // A character may be cut in two: its beginning waits for the rest.
        if (binary) driver.binary(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
        else driver.text(decoder.decode(bytes, { stream: true }));
        return this.#pace;
      },
    };
    driver.io.on("data", (bytes: Uint8Array) => this.#send(bytes));
    driver.on("message", ({ data }: { data: string | Uint8Array }) => this.#messages.push(Buffer.from(data)));
    // Its own answer to what is no WebSocket says what was wrong.
    driver.on("error", () => undefined);
    driver.on("close", () => this.#leave());
  }

  /** What the client sends; ends when it closes. Iterate once, and always: it is what reads the connection. */
  get input(): AsyncIterable<Uint8Array> {
    return this.#read();
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    for await (const bytes of this.#connection.input) {
      this.#driver.io.write(bytes);
      yield* this.#messages.splice(0);
      if (!this.#open) return;
    }
    // A WebSocket has no half that could be closed.
    this.#leave();
  }

  #send(bytes: Uint8Array): void {
    try {
      this.#pace = this.#connection.output.write(bytes);
    } catch {
      this.#leave();
    }
  }

  #leave(): void {
    this.#open = false;
    this.#left.abort();
  }

  /** Says good-bye, unless the client did. */
  async close(): Promise<void> {
    this.#pace = undefined;
    this.#driver.close();
    await this.#pace;
  }
}
