/**
 * One request whose body, or whose answer's, is a stream, over a wire of its own: node:http and fetch copy what passes.
 * Owns: the wire. Promises: the answer may come, and be read, before everything is sent; a refusal ends the sending;
 * leaving the answer's body early closes the connection.
 */
import { ChunkDecoder } from "#spec/chunk-decoder.ts";
import { giveBack } from "#spec/give-back.ts";
import type { EngineAddress } from "./address.ts";
import type { Answer } from "./answer.ts";
import { closedEarly } from "./dial.ts";
import { openWire } from "./open-wire.ts";
import type { Wire } from "./wire.ts";

export interface StreamedExchange {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Parts may be lent: each is sent, or copied, before the next is asked for. */
  readonly stream?: AsyncIterable<Uint8Array> | undefined;
  /** The answer's parts are lent until the next one, not the reader's to keep. @default false */
  readonly lends?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Of an answer's head. */
const headBytesMax = 64 << 10;
/** Parts of fewer bytes are framed in one piece: that costs less than more calls. */
const joinedBytesMax = 64 << 10;
const lineEnd = Buffer.from("\r\n");
const headEnd = Buffer.from("\r\n\r\n");
const lastChunk = Buffer.from("0\r\n\r\n");

interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** What came behind it. */
  readonly rest: Buffer;
}

/** @throws What the platform throws when nobody answers, what `stream` throws, or what the signal was aborted with. */
export async function exchangeStream(address: EngineAddress, o: StreamedExchange): Promise<Answer> {
  o.signal?.throwIfAborted();
  const exchange = new Exchange(await openWire(address), o);
  try {
    return await exchange.run();
  } catch (thrown) {
    exchange.close();
    throw exchange.reason(thrown);
  }
}

class Exchange {
  readonly #wire: Wire;
  readonly #o: StreamedExchange;
  /** Why the connection was given up, where that was decided here. */
  #failure: { readonly thrown: unknown } | undefined;
  #refused = false;

  constructor(wire: Wire, o: StreamedExchange) {
    this.#wire = wire;
    this.#o = o;
    o.signal?.addEventListener("abort", this.#abort);
    if (o.signal?.aborted === true) this.#abort();
  }

  readonly #abort = (): void => this.#fail(this.#o.signal?.reason);

  #fail(thrown: unknown): void {
    this.#failure ??= { thrown };
    this.#wire.destroy(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }

  reason(thrown: unknown): unknown {
    return this.#failure === undefined ? thrown : this.#failure.thrown;
  }

  close(): void {
    this.#o.signal?.removeEventListener("abort", this.#abort);
    this.#wire.destroy();
  }

  async run(): Promise<Answer> {
    const { incoming } = this.#wire;
    this.#send().catch((thrown: unknown) => this.#fail(thrown));
    let head = await readHead(incoming, Buffer.alloc(0));
    while (head.status < 200) head = await readHead(incoming, head.rest);
    this.#refused = head.status >= 400;
    return { status: head.status, headers: head.headers, body: this.#body(head, incoming) };
  }

  async #send(): Promise<void> {
    const { method, target, headers, stream } = this.#o;
    const lines = [`${method} ${target} HTTP/1.1`, "Connection: close"];
    if (stream !== undefined) lines.push("Transfer-Encoding: chunked");
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
    await this.#wire.send(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`));
    if (stream === undefined) return;
    for await (const part of stream) {
      if (this.#refused || !this.#wire.writable) return;
      if (part.length > 0) await this.#sendChunk(part);
    }
    await this.#wire.send(lastChunk);
  }

  async #sendChunk(part: Uint8Array): Promise<void> {
    const wire = this.#wire;
    const size = Buffer.from(`${part.length.toString(16)}\r\n`, "latin1");
    if (part.length < joinedBytesMax) return await wire.send(Buffer.concat([size, part, lineEnd]));
    for (const bytes of [size, part, lineEnd]) await wire.send(bytes);
  }

  async *#body(head: Head, incoming: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      const length = head.headers["content-length"];
      const parts = from(head.rest, incoming);
      if (head.status === 204 || head.status === 304) return;
      if (/\bchunked\b/i.test(head.headers["transfer-encoding"] ?? ""))
        yield* dechunked(parts, this.#o.lends === true);
      else if (length !== undefined) yield* first(parts, Number(length));
      else yield* parts;
    } catch (thrown) {
      throw this.reason(thrown);
    } finally {
      this.close();
    }
  }
}

async function readHead(incoming: AsyncIterator<Uint8Array>, begun: Buffer): Promise<Head> {
  let seen = begun;
  for (;;) {
    const end = seen.indexOf(headEnd);
    if (end >= 0) return parseHead(seen.toString("latin1", 0, end), seen.subarray(end + headEnd.length));
    if (seen.length > headBytesMax) throw new Error("the answer's head is too long");
    const next = await incoming.next();
    if (next.done === true) throw closedEarly();
    seen = Buffer.concat([seen, next.value]);
  }
}

function parseHead(text: string, rest: Buffer): Head {
  const [first = "", ...lines] = text.split("\r\n");
  const [, status] = /^HTTP\/1\.[01] (\d{3})/.exec(first) ?? [];
  if (status === undefined) throw new Error("the answer is not HTTP");
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name = "", value = ""] = /^([^:\s]+):\s*(.*?)\s*$/.exec(line) ?? [];
    const key = name.toLowerCase();
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
  }
  return { status: Number(status), headers, rest };
}

async function* from(rest: Buffer, incoming: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (rest.length > 0) yield rest;
  for (let next = await incoming.next(); next.done !== true; next = await incoming.next()) yield next.value;
}

async function* dechunked(parts: AsyncIterable<Uint8Array>, lends: boolean): AsyncGenerator<Uint8Array> {
  const decoder = new ChunkDecoder();
  for await (const part of parts) {
    const data: Uint8Array[] = [];
    decoder.push(part, data);
    yield* data;
    if (decoder.ended) return;
    if (lends) giveBack(part);
  }
  throw closedEarly();
}

async function* first(parts: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes;
  if (left === 0) return;
  for await (const part of parts) {
    yield part.subarray(0, left);
    left -= Math.min(left, part.length);
    if (left === 0) return;
  }
  throw closedEarly();
}
