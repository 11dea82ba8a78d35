/**
 * One HTTP exchange with a registry, by Bun's fetch: its TLS settings, its proxy, bounds on silence.
 * Never: follows a redirect, knows of credentials, or tries again.
 */
import { rootCertificates } from "node:tls";
import { Fault } from "#spec/fault.ts";
import { certificatesOf } from "./certificates.ts";
import { isInsecure, proxyFor, type RegistryOptions } from "./registry-options.ts";

/** How long a registry may take to begin its answer, to connect included. */
const answerWaitMs = 60_000;
/** How long it may say nothing in the middle of a body. */
const silenceMs = 60_000;

export interface Exchange {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Streams may take as long as they like, and lend their parts: each is copied before the next is asked for. */
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array> | undefined;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  /** Leaving it early closes the connection. */
  readonly body: AsyncIterable<Uint8Array>;
}

interface TlsSettings {
  readonly rejectUnauthorized: boolean;
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
}

export class Transport {
  readonly #options: RegistryOptions;
  /** Read once for each host; a changed file counts after a restart. */
  readonly #tls = new Map<string, Promise<TlsSettings>>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** @throws Fault `internal` in Go's words when nobody answers (`detail.network`), the signal's reason when called off. */
  async send(o: Exchange): Promise<Answer> {
    const tls = o.url.protocol === "https:" ? { tls: await this.#tlsOf(o.url.host) } : {};
    const silence = new AbortController();
    const signal = AbortSignal.any([o.signal, silence.signal]);
    const streams = o.body !== undefined && typeof o.body !== "string" && !(o.body instanceof Uint8Array);
    const timer = streams ? undefined : setTimeout(() => silence.abort(), answerWaitMs);
    try {
      const init: BunFetchRequestInit & { timeout: false } = {
        method: o.method,
        headers: { "User-Agent": this.#options.userAgent, "Accept-Encoding": "identity", ...o.headers },
        redirect: "manual",
        timeout: false,
        decompress: false,
        signal,
        ...(o.body !== undefined && { body: o.body as BodyInit }),
        ...tls,
        ...proxyOption(o.url, this.#options),
      };
      const response = await fetch(o.url, init);
      const { status, headers } = response;
      return { url: o.url, status, headers, body: watched(response, o, silence) };
    } catch (cause) {
      o.signal.throwIfAborted();
      throw networkFault(o, cause, silence.signal.aborted);
    } finally {
      clearTimeout(timer);
    }
  }

  #tlsOf(host: string): Promise<TlsSettings> {
    let settings = this.#tls.get(host);
    if (settings === undefined) {
      settings = this.#readTls(host);
      settings.catch(() => this.#tls.delete(host));
      this.#tls.set(host, settings);
    }
    return settings;
  }

  async #readTls(host: string): Promise<TlsSettings> {
    const { authorities, client } = await certificatesOf(host, this.#options.certificates);
    return {
      rejectUnauthorized: !isInsecure(host, this.#options.insecure) || authorities.length > 0,
      ...(authorities.length > 0 && { ca: [...rootCertificates, ...authorities] }),
      ...(client !== undefined && { cert: client.certificate, key: client.key }),
    };
  }
}

function proxyOption(url: URL, { proxy }: RegistryOptions): { proxy?: string } {
  const chosen = proxyFor(url, proxy);
  return chosen === undefined ? {} : { proxy: chosen };
}

async function* watched(
  response: Response,
  o: Exchange,
  silence: AbortController,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    for (;;) {
      timer = setTimeout(() => silence.abort(), silenceMs);
      const { done, value } = await reader.read();
      clearTimeout(timer);
      if (done) return;
      yield value;
    }
  } catch (cause) {
    o.signal.throwIfAborted();
    throw networkFault(o, cause, silence.signal.aborted);
  } finally {
    clearTimeout(timer);
    await reader.cancel().catch(() => undefined);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ConnectionRefused: "connect: connection refused",
  ECONNREFUSED: "connect: connection refused",
  ECONNRESET: "read: connection reset by peer",
  ConnectionClosed: "EOF",
  ENOTFOUND: "no such host",
  DNSException: "no such host",
  FailedToOpenSocket: "no such host or no route to it",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "tls: failed to verify certificate: x509: certificate signed by unknown authority",
  SELF_SIGNED_CERT_IN_CHAIN:
    "tls: failed to verify certificate: x509: certificate signed by unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "tls: failed to verify certificate: x509: certificate signed by unknown authority",
  CERT_HAS_EXPIRED: "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
  ERR_TLS_CERT_ALTNAME_INVALID:
    "tls: failed to verify certificate: x509: certificate is valid for other names",
};

function networkFault({ method, url }: Exchange, cause: unknown, silent: boolean): Fault {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const words = silent ? "net/http: timeout: the registry says nothing" : reasons[code];
  const verb = method[0] + method.slice(1).toLowerCase();
  const place = `${url.origin}${url.pathname}`;
  return new Fault(
    "internal",
    `${verb} ${JSON.stringify(place)}: ${words ?? (cause instanceof Error ? cause.message : String(cause))}`,
    { cause, detail: { network: silent ? "silent" : /refused/i.test(code) ? "refused" : "broken" } },
  );
}

/** A whole body. @throws Fault `invalid` when it is larger. */
export async function wholeBody(answer: Answer, bytesMax: number, what: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of answer.body) {
    total += part.length;
    if (total > bytesMax) throw new Fault("invalid", `${what} is larger than ${bytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
