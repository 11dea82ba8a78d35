/** Health checks: what a container's `Healthcheck` asks for, and what came of it. Pure. */
import { Fault } from "./fault.ts";
import type { Healthcheck } from "./image.ts";

export interface Health {
  readonly status: "starting" | "healthy" | "unhealthy";
  /** Failures since the last success. */
  readonly failingStreak: number;
  /** The last ones, oldest first; kept over restarts. */
  readonly log: readonly ProbeResult[];
}

/** Times are RFC 3339 with nanoseconds. */
export interface ProbeResult {
  readonly start: string;
  readonly end: string;
  /** 0 is healthy; -1 when there was no answer in time, or none at all. */
  readonly exitCode: number;
  readonly output: string;
}

/** How one look at a container is done. `http` and `tcp` need no process in it: they connect from within its network. */
export type Probe =
  | { readonly kind: "exec"; readonly args: readonly string[] }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "http"; readonly host: string; readonly port: number; readonly path: string };

/** Milliseconds. */
export interface Timing {
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}

const forms =
  'use one of ["NONE"], ["CMD", ...], ["CMD-SHELL", "..."], ["HTTP", "http://:PORT/PATH"], ["TCP", "PORT"]';

/**
 * What `Test` asks for; undefined for none.
 * @param shell Of the image, for `CMD-SHELL`.
 * @throws Fault `invalid`.
 */
export function parseProbe(check: Healthcheck | undefined, shell?: readonly string[]): Probe | undefined {
  const [kind, ...rest] = check?.Test ?? [];
  switch (kind) {
    case undefined:
    case "":
    case "NONE":
      return undefined;
    case "CMD":
      if (rest.length === 0) throw new Fault("invalid", "Test in Healthcheck names no command behind CMD");
      return { kind: "exec", args: rest };
    case "CMD-SHELL":
      return { kind: "exec", args: [...(shell?.length ? shell : ["/bin/sh", "-c"]), ...rest] };
    case "TCP":
      return parseTcp(only(rest, kind));
    case "HTTP":
      return parseHttp(only(rest, kind));
    default:
      throw new Fault("invalid", `unknown Test ${JSON.stringify(kind)} in Healthcheck; ${forms}`);
  }
}

function only(words: readonly string[], kind: string): string {
  const [word] = words;
  if (word === undefined || words.length > 1)
    throw new Fault("invalid", `Test in Healthcheck needs one word behind ${kind}; ${forms}`);
  return word;
}

const loopback = "127.0.0.1";

/** `8080`, `:8080`, `10.0.0.2:8080`, `[::1]:8080`. */
function parseTcp(text: string): Probe {
  const match = /^(?:(.*):)?([0-9]{1,5})$/.exec(text);
  if (match === null)
    throw new Fault("invalid", `Test in Healthcheck: ${JSON.stringify(text)} is no [HOST:]PORT`);
  return { kind: "tcp", host: hostOf(match[1] ?? ""), port: portOf(match[2] ?? "") };
}

/** `http://[HOST][:PORT][/PATH]`; TLS would need trust that a check has no place for. */
function parseHttp(text: string): Probe {
  const match = /^http:\/\/(\[[^\]]*\]|[^/:?#]*)(?::([0-9]{1,5}))?([/?][\x21-\x7e]*)?$/.exec(text);
  if (match === null)
    throw new Fault(
      "invalid",
      `Test in Healthcheck: ${JSON.stringify(text)} is no http://[HOST][:PORT][/PATH] (https is not supported: check with CMD)`,
    );
  const [, host = "", port = "80", path = "/"] = match;
  return {
    kind: "http",
    host: hostOf(host),
    port: portOf(port),
    path: path.startsWith("/") ? path : `/${path}`,
  };
}

/** Addresses only: a check must not depend on who answers for names. */
function hostOf(text: string): string {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  if (host === "" || host === "localhost") return loopback;
  const isV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/.test(host);
  const isV6 = host.includes(":") && /^[0-9a-fA-F:.]+$/.test(host);
  if (isV4 || isV6) return host;
  throw new Fault(
    "invalid",
    `Test in Healthcheck: ${JSON.stringify(host)} is no address: leave the host out for the container itself`,
  );
}

function portOf(text: string): number {
  const port = Number(text);
  if (port < 1 || port > 65535) throw new Fault("invalid", `Test in Healthcheck: there is no port ${text}`);
  return port;
}

const nanosecondsPerMs = 1e6;
/** What images say is nobody's promise: shorter would be no pause, longer is more than a timer holds. */
const leastMs = 1;
const mostMs = 2 ** 31 - 1;

/** With Docker's defaults for what is not given, or makes no sense. */
export function timingOf(check: Healthcheck | undefined): Timing {
  const ms = (nanoseconds: number | undefined, fallback: number) =>
    nanoseconds === undefined || !(nanoseconds > 0)
      ? fallback
      : Math.min(Math.max(nanoseconds / nanosecondsPerMs, leastMs), mostMs);
  return {
    interval: ms(check?.Interval, 30_000),
    timeout: ms(check?.Timeout, 30_000),
    startPeriod: ms(check?.StartPeriod, 0),
    startInterval: ms(check?.StartInterval, 5000),
    retries: check?.Retries !== undefined && check.Retries > 0 ? check.Retries : 3,
  };
}
