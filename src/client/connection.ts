/**
 * Requests to an engine, in Node and in Bun.
 * Owns: nothing between requests. Promises: a refusal is a Fault with the engine's words; a body is read only as fast as
 * the caller takes it; leaving a body early closes its connection.
 */
import { Fault } from "#spec/fault.ts";
import { type EngineAddress, formatAddress } from "./address.ts";
import type { Answer } from "./answer.ts";
import { refusal, unreachable } from "./failure.ts";
import { exchange } from "./transport.ts";

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface RequestOptions {
  readonly query?: Query;
  /** Sent as JSON, or a stream sent as it is. */
  readonly body?: unknown;
  readonly stream?: AsyncIterable<Uint8Array>;
  /** The answer is large: parts of its body are lent until the next one. Only for requests without a JSON body. */
  readonly bulk?: boolean;
  readonly contentType?: string;
  /** `X-Registry-Auth`, `X-Registry-Config`. */
  readonly registryAuth?: string | undefined;
  readonly registryConfig?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Of an answer that is read as a whole. */
const answerBytesMax = 256 << 20;

export class Connection {
  readonly address: EngineAddress;
  /** `/v1.50`, or empty. */
  prefix = "";

  constructor(address: EngineAddress) {
    this.address = address;
  }

  /** Any status below 400. @throws Fault with the engine's words, or `unavailable` when there is none. */
  async send(method: string, path: string, o: RequestOptions = {}): Promise<Answer> {
    const answer = await this.#exchange(method, path, o);
    if (answer.status >= 400) throw refusal(answer.status, await wholeText(answer.body));
    return answer;
  }

  /** The answer as JSON. */
  async json<T>(method: string, path: string, o: RequestOptions = {}): Promise<T> {
    const { body } = await this.send(method, path, o);
    return JSON.parse(await wholeText(body)) as T;
  }

  /** For its effect alone. @returns The status. */
  async done(method: string, path: string, o: RequestOptions = {}): Promise<number> {
    const { body, status } = await this.send(method, path, o);
    await wholeText(body);
    return status;
  }

  /** JSON values one after another, as they come. */
  async *lines<T>(method: string, path: string, o: RequestOptions = {}): AsyncGenerator<T> {
    for await (const line of this.textLines(method, path, o)) yield JSON.parse(line) as T;
  }

  /** The same, as the engine wrote them. */
  async *textLines(method: string, path: string, o: RequestOptions = {}): AsyncGenerator<string> {
    const { body } = await this.send(method, path, o);
    let rest = "";
    const decoder = new TextDecoder();
    for await (const bytes of body) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.trim() !== "") yield line;
    }
    if (rest.trim() !== "") yield rest;
  }

  /** Of a request, with prefix and query. */
  target(path: string, query: Query = {}): string {
    const parameters = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) {
      if (value === undefined) continue;
      for (const each of Array.isArray(value) ? (value as readonly string[]) : [String(value)])
        parameters.append(key, each);
    }
    const text = parameters.toString();
    return `${this.prefix}${path}${text === "" ? "" : `?${text}`}`;
  }

  async #exchange(method: string, path: string, o: RequestOptions): Promise<Answer> {
    const body = o.body === undefined ? undefined : JSON.stringify(o.body);
    const contentType = o.contentType ?? (body === undefined ? undefined : "application/json");
    const headers = {
      Host: "api.moby.localhost",
      "User-Agent": "wherry",
      ...(contentType !== undefined && { "Content-Type": contentType }),
      ...(o.registryAuth !== undefined && { "X-Registry-Auth": o.registryAuth }),
      ...(o.registryConfig !== undefined && { "X-Registry-Config": o.registryConfig }),
    };
    const target = this.target(path, o.query);
    try {
      return await exchange(this.address, {
        method,
        target,
        headers,
        body,
        stream: o.stream,
        bulk: o.bulk,
        signal: o.signal,
      });
    } catch (cause) {
      if (o.signal?.aborted === true) throw new Fault("cancelled", "the request was called off", { cause });
      throw unreachable(formatAddress(this.address), cause);
    }
  }
}

async function wholeText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of body) {
    total += part.length;
    if (total > answerBytesMax)
      throw new Fault("internal", "the engine's answer is larger than any should be");
    parts.push(Buffer.from(part));
  }
  return Buffer.concat(parts).toString("utf8");
}
