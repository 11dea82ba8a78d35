/**
 * From method and path to a handler.
 * Owns: version prefixes, path patterns, the headers of every answer. Promises: unknown paths and methods answer as
 * dockerd does. Never: knows what a route does.
 */
import { posix } from "node:path";
import { Fault } from "#spec/fault.ts";
import type { ApiRequest } from "./api-request.ts";
import { newestVersion, parseVersion } from "./api-version.ts";
import type { Exchange, Handle } from "./connection.ts";
import { type FixedReply, messageReply, type Reply } from "./reply.ts";

export interface Route {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS";
  /** `{name}` stands for one or more characters, slashes too. `/{path}` alone is for first words no route begins with. */
  readonly pattern: string;
  readonly handle: (request: ApiRequest) => Reply | Promise<Reply>;
}

export function route(method: Route["method"], pattern: string, handle: Route["handle"]): Route {
  return { method, pattern, handle };
}

interface Compiled extends Route {
  readonly expression: RegExp;
  readonly names: readonly string[];
}

const versioned = /^\/v([0-9.]+)(\/.*)$/;

/** Makes one handler of a route table. The first route that fits wins. `lifetime` ends with the server. */
export function routes(table: readonly Route[], lifetime: AbortSignal): Handle {
  const byFirstWord = new Map<string, Compiled[]>();
  for (const entry of table) {
    const key = `${entry.method} ${firstWord(entry.pattern)}`;
    const compiled = byFirstWord.get(key) ?? [];
    compiled.push(compile(entry));
    byFirstWord.set(key, compiled);
  }
  return async (exchange) => {
    const { method, target } = exchange.head;
    const question = target.indexOf("?");
    const path = decodePath(question < 0 ? target : target.slice(0, question));
    const clean = cleanPath(path);
    if (clean !== path) return moved(clean, question < 0 ? "" : target.slice(question));
    const [, version, rest = path] = versioned.exec(path) ?? [];
    const candidates = byFirstWord.get(`${method} ${firstWord(rest)}`) ?? byFirstWord.get(`${method} {path}`);
    for (const candidate of candidates ?? []) {
      const match = candidate.expression.exec(rest);
      if (match === null) continue;
      return candidate.handle({
        method,
        version: version === undefined ? newestVersion : parseVersion(version),
        params: Object.fromEntries(candidate.names.map((name, index) => [name, match[index + 1] ?? ""])),
        query: parseQuery(question < 0 ? "" : target.slice(question + 1)),
        headers: exchange.head.headers,
        body: exchange.body,
        signal: exchange.signal,
        lifetime,
      });
    }
    return messageReply(404, "page not found");
  };
}

/** What the exchange asked for, for a log line; without the query, which may hold build arguments. */
export function describe(exchange: Exchange): string {
  return `${exchange.head.method} ${exchange.head.target.replace(/\?.*$/s, "")}`;
}

function firstWord(path: string): string {
  return path.split("/", 2)[1] ?? "";
}

function compile(entry: Route): Compiled {
  const names: string[] = [];
  const source = entry.pattern.replace(
    /[.*+?^$()|[\]\\]|\{([a-z]+)\}/g,
    (found, name: string | undefined) => {
      if (name === undefined) return `\\${found}`;
      names.push(name);
      return "(.+)";
    },
  );
  return { ...entry, expression: new RegExp(`^${source}$`, "s"), names };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    throw new Fault("invalid", `invalid URL escape in ${JSON.stringify(path)}`, { cause });
  }
}

/** As Go reads one. @throws Fault `invalid` in its words. */
function parseQuery(query: string): URLSearchParams {
  if (query.includes(";")) throw new Fault("invalid", "invalid semicolon separator in query");
  const bad = /%(?![0-9a-f]{2}).{0,2}/i.exec(query)?.[0];
  if (bad !== undefined) throw new Fault("invalid", `invalid URL escape ${JSON.stringify(bad)}`);
  return new URLSearchParams(query);
}

/** Without `.`, `..` and doubled slashes. */
function cleanPath(path: string): string {
  return path.includes("//") || path.includes("/.") ? posix.normalize(path) : path;
}

function moved(path: string, query: string): FixedReply {
  return { kind: "fixed", status: 301, headers: { Location: encodeURI(path) + query }, body: "" };
}
