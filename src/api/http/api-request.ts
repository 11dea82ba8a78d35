/** One API request as handlers see it, and how they read what is in it. */
import * as v from "valibot";
import { Fault } from "#spec/fault.ts";
import { parseUnixTime } from "#spec/unix-time.ts";
import type { RequestBody } from "./request-body.ts";
import { MalformedRequest } from "./request-head.ts";

/** A JSON body, whole. */
export const jsonBytesMax = 4 * 1024 * 1024;
/** Arrays and objects within each other in a JSON body. */
export const jsonDepthMax = 100;
/** From the head of a request to the end of its JSON body. */
export const jsonTimeoutMs = 60_000;

export interface ApiRequest {
  readonly method: string;
  /** Minor number of the API version: 50 for 1.50. */
  readonly version: number;
  /** The named parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: RequestBody;
  /**
   * Aborted when the client goes away. For what only the client wants: waiting, streams, builds. Not for changes: a
   * stop goes on without the one who asked.
   */
  readonly signal: AbortSignal;
  /** Aborted when the server no longer waits for work in progress. */
  readonly lifetime: AbortSignal;
}

/** A part of the path by name. */
export function param(request: ApiRequest, name: string): string {
  return request.params[name] ?? "";
}

/** Docker's truth: absent, empty, `0`, `no`, `false` and `none` are false, everything else is true. */
export function flag(request: ApiRequest, name: string, fallback = false): boolean {
  const value = request.query.get(name);
  if (value === null) return fallback;
  return !["", "0", "no", "false", "none"].includes(value.trim().toLowerCase());
}

/** A query value; undefined when absent or empty. */
export function text(request: ApiRequest, name: string): string | undefined {
  return request.query.get(name) || undefined;
}

/**
 * A decimal integer; undefined when absent or empty.
 * @throws Fault `invalid` for anything else.
 */
export function integer(request: ApiRequest, name: string): number | undefined {
  const value = text(request, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^[+-]?[0-9]+$/.test(value) || !Number.isSafeInteger(number))
    throw new Fault("invalid", `invalid value ${JSON.stringify(value)} for ${name}: want a whole number`);
  return number;
}

/**
 * A time in nanoseconds since the epoch; undefined when absent, empty or 0, which clients send for "no limit".
 * @throws Fault `invalid` naming the parameter.
 */
export function moment(request: ApiRequest, name: string): bigint | undefined {
  const value = text(request, name);
  if (value === "0") return undefined;
  try {
    return parseUnixTime(value);
  } catch (cause) {
    throw new Fault("invalid", `invalid value for ${JSON.stringify(name)}: ${Fault.from(cause).message}`, {
      cause,
    });
  }
}

/**
 * The JSON body, checked. An empty body reads as `{}`.
 * @throws Fault `invalid` for another content type, bad JSON, trailing text or wrong types; MalformedRequest 413 for too
 * many bytes, 408 for too slow ones.
 */
export async function json<Schema extends v.GenericSchema>(
  request: ApiRequest,
  schema: Schema,
  timeoutMs = jsonTimeoutMs,
): Promise<v.InferOutput<Schema>> {
  const mediaType = request.headers.get("content-type");
  const empty = request.body.sizeBytes === 0;
  if (!(mediaType === undefined && empty)) checkJsonType(mediaType ?? "");
  if (empty) return check(schema, {});
  const bytes = await inTime(request.body.bytes(jsonBytesMax), timeoutMs);
  checkDepth(bytes);
  return check(schema, parse(new TextDecoder().decode(bytes)));
}

function checkJsonType(mediaType: string): void {
  const essence = (mediaType.split(";")[0] ?? "").trim().toLowerCase();
  if (essence === "")
    throw new Fault("invalid", `malformed Content-Type header (${mediaType}): mime: no media type`);
  if (essence !== "application/json")
    throw new Fault("invalid", `unsupported Content-Type header (${mediaType}): must be 'application/json'`);
}

async function inTime(bytes: Promise<Uint8Array>, timeoutMs: number): Promise<Uint8Array> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () =>
      reject(new MalformedRequest(408, `the request body did not come within ${timeoutMs / 1000} seconds`)),
    timeoutMs,
  );
  try {
    return await Promise.race([bytes, late]);
  } finally {
    clearTimeout(timer);
  }
}

const [quote, backslash, openBracket, closeBracket, openBrace, closeBrace] = Buffer.from('"\\[]{}');

/** Before anything recurses into it. */
function checkDepth(json: Uint8Array): void {
  let depth = 0;
  let inText = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (inText) {
      if (byte === backslash) at++;
      else if (byte === quote) inText = false;
    } else if (byte === quote) inText = true;
    else if (byte === openBracket || byte === openBrace) {
      if (++depth > jsonDepthMax) throw new Fault("invalid", "invalid JSON: exceeded max depth");
    } else if (byte === closeBracket || byte === closeBrace) depth--;
  }
}

function parse(body: string): unknown {
  if (body.trim() === "") throw new Fault("invalid", "invalid JSON: got EOF while reading request body");
  try {
    return JSON.parse(body);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/^JSON Parse error: /, "") : "";
    throw new Fault("invalid", `invalid JSON: ${reason}`, { cause });
  }
}

/** @throws Fault `invalid` naming the first field that does not fit and what it should be. */
export function check<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  throw new Fault(
    "invalid",
    path === null
      ? `invalid JSON: the body must be an object, not ${issue.received}`
      : `invalid JSON: ${path} must be ${issue.expected ?? "valid"}, not ${issue.received}`,
  );
}
