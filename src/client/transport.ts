/**
 * One request and its answer, by the quickest way the platform has: Bun's own `fetch` knows unix sockets and is there
 * without loading anything; Node's does not. Bodies that are streams, and answers that are large, have a way of their own.
 */
import type { EngineAddress } from "./address.ts";
import type { Answer } from "./answer.ts";
import { tlsOptions } from "./dial.ts";

export interface Exchange {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly stream?: AsyncIterable<Uint8Array> | undefined;
  /** The answer is large, and its parts may be lent until the next one. */
  readonly bulk?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws What the platform throws when nobody answers. */
export async function exchange(address: EngineAddress, o: Exchange): Promise<Answer> {
  if (o.stream !== undefined || o.bulk === true) {
    const { exchangeStream } = await import("./streamed-exchange.ts");
    return await exchangeStream(address, { ...o, lends: o.bulk });
  }
  return "Bun" in globalThis ? await byFetch(address, o) : await byHttp(address, o);
}

async function byFetch(address: EngineAddress, o: Exchange): Promise<Answer> {
  const tls = address.kind === "tcp" ? address.tls : undefined;
  const scheme = tls === undefined ? "http" : "https";
  const place =
    address.kind === "unix" ? "http://engine" : `${scheme}://${urlHost(address.hostname)}:${address.port}`;
  const init = {
    method: o.method,
    headers: o.headers,
    redirect: "manual",
    keepalive: false,
    // Waiting for a container's end has no bound.
    timeout: false,
    ...(o.body !== undefined && { body: o.body }),
    ...(o.signal !== undefined && { signal: o.signal }),
    ...(address.kind === "unix" && { unix: address.path }),
    ...(tls !== undefined && { tls: tlsOptions(tls) }),
  };
  const response = await fetch(place + o.target, init as RequestInit);
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: response.body ?? nothing(),
  };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function urlHost(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** Empty for addresses: nobody is asked for by one (RFC 6066, 3), and the certificate is checked against it all the same. */
function serverName(hostname: string): string {
  return hostname.includes(":") || /^[\d.]+$/.test(hostname) ? "" : hostname;
}

async function byHttp(address: EngineAddress, o: Exchange): Promise<Answer> {
  const tls = address.kind === "tcp" ? address.tls : undefined;
  const { request: open } = await (tls === undefined ? import("node:http") : import("node:https"));
  const place =
    address.kind === "unix"
      ? { socketPath: address.path }
      : {
          hostname: address.hostname,
          port: address.port,
          // Node would take the name to check, and to ask for, from the Host header.
          ...(tls !== undefined && { ...tlsOptions(tls), servername: serverName(address.hostname) }),
        };
  return await new Promise((resolve, reject) => {
    const request = open({
      ...place,
      method: o.method,
      path: o.target,
      agent: false,
      headers: { ...o.headers, ...(o.body !== undefined && { "Content-Length": Buffer.byteLength(o.body) }) },
      ...(o.signal !== undefined && { signal: o.signal }),
    });
    request.on("response", (message) =>
      resolve({ status: message.statusCode ?? 0, headers: message.headers, body: message }),
    );
    request.on("error", reject);
    request.end(o.body);
  });
}
