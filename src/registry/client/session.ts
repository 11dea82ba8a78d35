/**
 * Requests to one endpoint in one operation: signs them as the registry asks, follows redirects, explains refusals.
 * Promises: credentials go to the registry's own host and to realms that fit it, never behind a redirect, and never over
 * plain HTTP to a host that is not insecure by name.
 */
import type { Credentials } from "#spec/credentials.ts";
import { Fault } from "#spec/fault.ts";
import { type Challenge, parseChallenges, realmFits } from "./challenge.ts";
import { refusal, refusalBytesMax } from "./refusal.ts";
import type { Endpoint, RegistryOptions } from "./registry-options.ts";
import { retryAfterMs } from "./retry.ts";
import { bearerToken } from "./token.ts";
import { type Answer, type Exchange, type Transport, wholeBody } from "./transport.ts";

const redirectsMax = 5;
const textBytesMax = 4 << 20;
/** Of a page of a list, and how many pages are read. */
const pageBytesMax = 8 << 20;
const pagesMax = 1000;
const redirects = new Set([301, 302, 303, 307, 308]);

export interface SessionRequest {
  readonly method: Exchange["method"];
  /** Path and query behind `/v2/`, or a whole URL the registry gave. */
  readonly target: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Exchange["body"];
  readonly signal: AbortSignal;
  /** Statuses that are answers; every other is a fault. @default 200 to 299 */
  readonly accept?: readonly number[];
}

export class Session {
  readonly endpoint: Endpoint;
  readonly #transport: Transport;
  readonly #options: RegistryOptions;
  readonly #credentials: Credentials | undefined;
  readonly #schemes: Map<string, "https" | "http">;
  readonly #scopes = new Set<string>();
  #authorization: string | undefined;
  #signing: Promise<string | undefined> | undefined;

  constructor(o: {
    readonly endpoint: Endpoint;
    readonly transport: Transport;
    readonly options: RegistryOptions;
    readonly credentials: Credentials | undefined;
    /** What hosts turned out to speak. */
    readonly schemes: Map<string, "https" | "http">;
    /** `repository:library/alpine:pull`. */
    readonly scope?: string | undefined;
  }) {
    this.endpoint = o.endpoint;
    this.#transport = o.transport;
    this.#options = o.options;
    this.#schemes = o.schemes;
    // A mirror is another's host.
    this.#credentials = o.endpoint.isMirror ? undefined : o.credentials;
    if (o.scope !== undefined) this.#scopes.add(o.scope);
    if (this.#credentials?.registryToken !== undefined)
      this.#authorization = `Bearer ${this.#credentials.registryToken}`;
  }

  /** Also asks for this from now on. */
  addScope(scope: string): void {
    if (this.#scopes.has(scope)) return;
    this.#scopes.add(scope);
    if (this.#authorization?.startsWith("Bearer ") === true && this.#credentials?.registryToken === undefined)
      this.#authorization = undefined;
  }

  /** @throws Fault with `detail.status` for a refusal, `detail.network` when nobody answers. */
  async send(o: SessionRequest): Promise<Answer> {
    let answer = await this.#signed(o);
    for (let hops = 0; redirects.has(answer.status) && o.accept?.includes(answer.status) !== true; hops++) {
      if (hops === redirectsMax)
        throw new Fault(
          "invalid",
          `${this.endpoint.host} redirects in circles: given up after ${redirectsMax} steps`,
        );
      answer = await this.#redirected(answer, o);
    }
    const accepted = o.accept?.includes(answer.status) ?? (answer.status >= 200 && answer.status < 300);
    if (accepted) return answer;
    throw await this.#refused(answer, o);
  }

  /** What is not beneath `/v2/`, as text. */
  async text(path: string, signal: AbortSignal): Promise<string> {
    const { host } = this.endpoint;
    const target = new URL(`${await this.#scheme(signal)}://${host}/${path}`);
    const answer = await this.send({ method: "GET", target, signal });
    return new TextDecoder().decode(await wholeBody(answer, textBytesMax, "the answer"));
  }

  /** A list as its `Link`s lead on (OCI distribution-spec 1.1, "Listing Tags"). @throws Fault `invalid` when it has no end. */
  async *pages(first: string, what: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let target: string | URL = first;
    for (let page = 0; page < pagesMax; page++) {
      const answer = await this.send({ method: "GET", target, signal });
      yield await wholeBody(answer, pageBytesMax, `the list of ${what}`);
      const [, next] = /<([^>]+)>\s*;\s*rel="?next"?/.exec(answer.headers.get("link") ?? "") ?? [];
      const url = next === undefined ? null : URL.parse(next, answer.url);
      if (url === null) return;
      target = url;
    }
    throw new Fault("invalid", `${this.endpoint.host} lists ${what} without end`);
  }

  /** The URL of a target, once it is known what the host speaks. */
  async #url(target: string | URL, signal: AbortSignal): Promise<URL> {
    if (target instanceof URL) return target;
    const { host, path } = this.endpoint;
    return new URL(`${await this.#scheme(signal)}://${host}${path}/v2/${target}`);
  }

  async #scheme(signal: AbortSignal): Promise<"https" | "http"> {
    const { host, path, scheme } = this.endpoint;
    const known = scheme ?? this.#schemes.get(host);
    if (known !== undefined) return known;
    const probe = async (kind: "https" | "http") => {
      const url = new URL(`${kind}://${host}${path}/v2/`);
      const { body } = await this.#transport.send({ method: "GET", url, signal });
      for await (const _ of body) break;
      this.#schemes.set(host, kind);
      return kind;
    };
    return await probe("https").catch(async (thrown) => {
      signal.throwIfAborted();
      // It does speak HTTPS, only not as somebody who is trusted.
      const fault = Fault.from(thrown);
      if (fault.detail["network"] === undefined) throw fault;
      return await probe("http");
    });
  }

  async #signed(o: SessionRequest): Promise<Answer> {
    const url = await this.#url(o.target, o.signal);
    if (url.host !== this.endpoint.host) return await this.#plain(url, o);
    await this.#signing?.catch(() => undefined);
    const used = this.#authorization;
    const answer = await this.#exchange(url, o, used);
    if (answer.status !== 401) return answer;
    const authorization = await this.#sign(answer, used, o.signal);
    // A stream cannot be sent twice: whoever sends one begins anew.
    if (authorization === undefined || authorization === used || isStream(o.body)) return answer;
    for await (const _ of answer.body);
    return await this.#exchange(url, o, authorization);
  }

  async #plain(url: URL, o: SessionRequest): Promise<Answer> {
    return await this.#exchange(url, o, undefined);
  }

  async #exchange(url: URL, o: SessionRequest, authorization: string | undefined): Promise<Answer> {
    const { method, body, signal } = o;
    const headers = { ...o.headers, ...(authorization !== undefined && { Authorization: authorization }) };
    return await this.#transport.send({ method, url, headers, body, signal });
  }

  /** Several requests that are refused at once ask for one token. */
  async #sign(answer: Answer, used: string | undefined, signal: AbortSignal): Promise<string | undefined> {
    if (this.#authorization !== used) return this.#authorization;
    this.#signing ??= this.#answerChallenge(answer, signal).finally(() => {
      this.#signing = undefined;
    });
    const made = await this.#signing;
    if (made !== undefined) this.#authorization = made;
    return made;
  }

  async #answerChallenge(answer: Answer, signal: AbortSignal): Promise<string | undefined> {
    const challenges = parseChallenges(answer.headers.get("www-authenticate") ?? "");
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer !== undefined) return await this.#token(bearer, answer.url, signal);
    if (!challenges.some(({ scheme }) => scheme === "basic")) return undefined;
    const { username, password } = this.#credentials ?? {};
    if (username === undefined || password === undefined || username === "")
      throw new Fault(
        "internal",
        `Get "${answer.url.origin}${answer.url.pathname}": no basic auth credentials`,
        {
          detail: { status: 401, code: "NO_CREDENTIALS" },
        },
      );
    return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  }

  async #token({ parameters }: Challenge, url: URL, signal: AbortSignal): Promise<string | undefined> {
    if (this.#credentials?.registryToken !== undefined) return undefined;
    const realm = URL.parse(parameters["realm"] ?? "");
    if (realm === null)
      throw new Fault("invalid", `${this.endpoint.host} asks for a token, but does not say where to get it`);
    const isPlain = url.protocol === "http:" || this.endpoint.insecure;
    const fits = realmFits(realm, { host: this.endpoint.host, isPlain }, this.#options.authRealms);
    for (const scope of (parameters["scope"] ?? "").split(" ")) if (scope !== "") this.#scopes.add(scope);
    const token = await bearerToken({
      transport: this.#transport,
      realm,
      service: parameters["service"],
      scopes: [...this.#scopes],
      credentials: fits ? this.#credentials : undefined,
      withheld: !fits && this.#credentials !== undefined,
      signal,
    });
    return `Bearer ${token}`;
  }

  async #redirected(answer: Answer, o: SessionRequest): Promise<Answer> {
    for await (const _ of answer.body) break;
    const url = URL.parse(answer.headers.get("location") ?? "", answer.url);
    if (url === null || (url.protocol !== "https:" && url.protocol !== "http:"))
      throw new Fault("invalid", `${answer.url.host} redirects to nowhere`);
    if (url.protocol === "http:" && answer.url.protocol === "https:" && !this.endpoint.insecure)
      throw new Fault(
        "denied",
        `${answer.url.host} redirects from HTTPS to plain HTTP at ${url.host}, which is never done`,
      );
    if (o.method !== "GET" && o.method !== "HEAD")
      throw new Fault(
        "unsupported",
        `${answer.url.host} redirects a ${o.method} request, which is never followed`,
      );
    const isOwn = url.host === this.endpoint.host && url.protocol === answer.url.protocol;
    return isOwn ? await this.#signed({ ...o, target: url }) : await this.#plain(url, o);
  }

  async #refused(answer: Answer, o: SessionRequest): Promise<Fault> {
    const body = await wholeBody(answer, refusalBytesMax, "the error").catch(() => new Uint8Array());
    const { url, status } = answer;
    return refusal({
      status,
      request: `${o.method} ${url.origin}${url.pathname}`,
      body: new TextDecoder().decode(body),
      retryAfterMs: retryAfterMs(answer.headers.get("retry-after"), Date.now()),
    });
  }
}

function isStream(body: Exchange["body"]): boolean {
  return body !== undefined && typeof body !== "string" && !(body instanceof Uint8Array);
}
