/**
 * The first part of a request: request line and headers.
 * Owns: what counts as well-formed. Promises: lower-case header names, one framing of the body, exact byte counts.
 * Never: reads the body.
 */
import { HTTPParser } from "http-parser-js";

/** Request line and headers together; the same bound dockerd has. */
export const headBytesMax = 1024 * 1024;
/** Header lines of one request. */
export const headersMax = 2000;

/** How the body that follows a head is delimited. */
export type BodyFraming =
  | { readonly kind: "none" }
  | { readonly kind: "sized"; readonly bytes: number }
  | { readonly kind: "chunked" };

export interface RequestHead {
  readonly method: string;
  /** As sent, with query; an absolute form is reduced to its path. */
  readonly target: string;
  readonly minorVersion: 0 | 1;
  /** Names in lower case; values of repeated headers joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: BodyFraming;
  /** The client asked to keep the connection after this request. */
  readonly keepAlive: boolean;
}

/** A request that cannot be understood; the connection is of no further use after the answer. */
export class MalformedRequest extends Error {
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MalformedRequest";
    this.status = status;
  }
}

const headerLine = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\0\r\n]*$/;
// Header bytes are kept one to one: the library's ASCII decoder drops the high bit, which can turn a byte into a newline.
HTTPParser.encoding = "latin1";

/** Refuses header lines the library would skip: no colon, space before it, folded lines. */
class StrictParser extends HTTPParser {
  override parseHeader(line: string, headers: string[]): void {
    if (!headerLine.test(line)) throw new Error("malformed header line");
    super.parseHeader(line, headers);
  }
}

interface ParsedHead {
  readonly method: number;
  readonly url: string;
  readonly versionMajor: number;
  readonly versionMinor: number;
  readonly headers: string[];
}

const skipBody = 2;

/** Reads heads from consecutive chunks of one connection. */
export class HeadParser {
  readonly #parser = new StrictParser(HTTPParser.REQUEST);
  #parsed: ParsedHead | undefined;
  #consumed = 0;

  constructor() {
    this.#parser[HTTPParser.kOnHeadersComplete] = (info): number => {
      this.#parsed = info;
      return skipBody;
    };
  }

  /** True between the first byte of a head and its last. */
  get begun(): boolean {
    return this.#consumed > 0;
  }

  /**
   * Feeds one chunk. Undefined when the head goes on in the next chunk; otherwise the head and how many bytes of the
   * chunk belonged to it, after which the parser is ready for the next head.
   * @throws MalformedRequest 400, 431, 501 or 505; the parser is then of no further use.
   */
  feed(chunk: Uint8Array): { head: RequestHead; consumed: number } | undefined {
    this.#parser.maxHeaderSize = Number.MAX_SAFE_INTEGER; // counted here, for a status of its own
    const consumed = this.#parser.execute(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    if (this.#consumed + (typeof consumed === "number" ? consumed : chunk.length) > headBytesMax)
      throw new MalformedRequest(431, `request line and headers are larger than ${headBytesMax} bytes`);
    if (typeof consumed !== "number")
      throw new MalformedRequest(400, "malformed HTTP request", { cause: consumed });
    this.#consumed += consumed;
    const parsed = this.#parsed;
    if (parsed === undefined) return undefined;
    this.#parsed = undefined;
    this.#consumed = 0;
    return { head: requestHead(parsed), consumed };
  }
}

function requestHead(parsed: ParsedHead): RequestHead {
  const { versionMajor, versionMinor } = parsed;
  if (versionMajor !== 1 || (versionMinor !== 0 && versionMinor !== 1))
    throw new MalformedRequest(505, `unsupported protocol version HTTP/${versionMajor}.${versionMinor}`);
  if (parsed.headers.length / 2 > headersMax)
    throw new MalformedRequest(431, `a request can have ${headersMax} headers at most`);
  const headers = collect(parsed.headers);
  checkHeaders(headers);
  const connection = (headers.get("connection") ?? "").toLowerCase();
  const keepAlive = versionMinor === 1 ? !hasToken(connection, "close") : hasToken(connection, "keep-alive");
  return {
    method: HTTPParser.methods[parsed.method] ?? "",
    target: originForm(parsed.url),
    minorVersion: versionMinor,
    headers,
    framing: framing(headers, versionMinor),
    keepAlive,
  };
}

function collect(flat: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = (flat[index] ?? "").toLowerCase();
    const value = flat[index + 1] ?? "";
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return headers;
}

/** What may be there once only, and what is not understood. */
function checkHeaders(headers: ReadonlyMap<string, string>): void {
  if (headers.get("host")?.includes(",")) throw new MalformedRequest(400, "too many Host headers");
  const expectation = headers.get("expect");
  if (expectation !== undefined && expectation.toLowerCase() !== "100-continue")
    throw new MalformedRequest(417, `unknown expectation: ${JSON.stringify(expectation)}`);
}

/** True when a comma-separated lower-case header value contains `token`. */
function hasToken(value: string, token: string): boolean {
  return value.split(",").some((part) => part.trim() === token);
}

function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const absolute = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*(.*)$/i.exec(target);
  const path = absolute?.[1] ?? target;
  return path.startsWith("/") ? path : `/${path}`;
}

/** A length and chunking together would let two readers disagree about where the request ends: refused. */
function framing(headers: ReadonlyMap<string, string>, minorVersion: 0 | 1): BodyFraming {
  const encoding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== "chunked" || minorVersion === 0)
      throw new MalformedRequest(501, `unsupported transfer encoding: ${JSON.stringify(encoding)}`);
    if (length !== undefined)
      throw new MalformedRequest(400, "a request cannot have both Content-Length and Transfer-Encoding");
    return { kind: "chunked" };
  }
  if (length === undefined) return { kind: "none" };
  if (!/^[0-9]{1,15}$/.test(length))
    throw new MalformedRequest(400, `bad Content-Length ${JSON.stringify(length)}`);
  return Number(length) === 0 ? { kind: "none" } : { kind: "sized", bytes: Number(length) };
}
