/**
 * One HTTP exchange with a registry, by Bun's fetch: its TLS settings, its proxy, bounds on silence.
 * Never: follows a redirect, knows of credentials, or tries again.
 */
import { join } from "node:path";
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

  /**
   * @throws Fault `internal` in Go's words when nobody answers (`detail.network`) or who does is not trusted (without), the
   * signal's reason when called off.
   */
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
      throw (
        mistrustFault(o, cause, this.#options.certificates.at(-1)) ??
        networkFault(o, cause, silence.signal.aborted)
      );
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
};

/** What is wrong with a registry's certificate. */
const mistrust: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "signed by unknown authority",
  SELF_SIGNED_CERT_IN_CHAIN: "signed by unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "signed by unknown authority",
  UNABLE_TO_GET_ISSUER_CERT: "signed by unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "signed by unknown authority",
  CERT_SIGNATURE_FAILURE: "signed by unknown authority",
  CERT_HAS_EXPIRED: "has expired or is not yet valid",
  CERT_NOT_YET_VALID: "has expired or is not yet valid",
  ERR_TLS_CERT_ALTNAME_INVALID: "is valid for other names",
};

/** Asking again would change nothing: it fails at once. Undefined for other failures. */
function mistrustFault(o: Exchange, cause: unknown, directory: string | undefined): Fault | undefined {
  const what = mistrust[codeOf(cause)];
  if (what === undefined) return undefined;
  const { host } = o.url;
  const known =
    directory === undefined ? "" : `put its authority into ${join(directory, host, "ca.crt")}, or `;
  const way = what.startsWith("signed")
    ? `${known}name ${host} with --insecure-registry`
    : "it needs another certificate";
  return new Fault(
    "internal",
    `${placeOf(o)}: tls: failed to verify certificate: x509: certificate ${what}: ${way}`,
    { cause },
  );
}

function networkFault(o: Exchange, cause: unknown, silent: boolean): Fault {
  const code = codeOf(cause);
  const words = silent ? "net/http: timeout: the registry says nothing" : reasons[code];
  return new Fault(
    "internal",
    `${placeOf(o)}: ${words ?? (cause instanceof Error ? cause.message : String(cause))}`,
    { cause, detail: { network: silent ? "silent" : /refused/i.test(code) ? "refused" : "broken" } },
  );
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}

/** As Go's HTTP client names it: `Get "https://host/v2/"`. */
function placeOf({ method, url }: Exchange): string {
  const verb = method[0] + method.slice(1).toLowerCase();
  return `${verb} ${JSON.stringify(`${url.origin}${url.pathname}`)}`;
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
