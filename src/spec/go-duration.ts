/**
 * Pure. Spans of time as Go reads and prints them, and as Docker tells them to people.
 * Source: `time.ParseDuration` and `Duration.String` of Go, `units.HumanDuration` of Docker.
 */
import { Fault } from "./fault.ts";
import { goQuote } from "./go-quote.ts";

const nanosecondsPer: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Nanoseconds of a duration such as `1m30s`, `1.5h` or `-20ms`. @throws Fault `invalid` in Go's words. */
export function parseGoDuration(text: string): number {
  const quoted = goQuote(text);
  const rest = text.replace(/^[+-]/, "");
  if (rest === "0") return 0;
  const parts = [...rest.matchAll(/(\d+\.?\d*|\.\d+)([^\d.]*)/g)];
  if (rest === "" || parts.map((part) => part[0]).join("") !== rest)
    throw new Fault("invalid", `time: invalid duration ${quoted}`);
  let total = 0;
  for (const [, number = "", unit = ""] of parts) {
    if (unit === "") throw new Fault("invalid", `time: missing unit in duration ${quoted}`);
    const scale = nanosecondsPer[unit];
    if (scale === undefined)
      throw new Fault("invalid", `time: unknown unit ${goQuote(unit)} in duration ${quoted}`);
    total += Number(number) * scale;
  }
  return Math.round(total) * (text.startsWith("-") ? -1 : 1);
}

/** The same where a text may be something else, such as a date; undefined then. */
export function goDurationOrNone(text: string): number | undefined {
  try {
    return parseGoDuration(text);
  } catch {
    return undefined;
  }
}

/** As Go prints it: `1m30s`, `1.5s`, `20ms`, `0s`. */
export function formatGoDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 1e3) return `${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${nanoseconds / 1e3}µs`;
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`;
  const hours = Math.floor(nanoseconds / 3600e9);
  const minutes = Math.floor((nanoseconds % 3600e9) / 60e9);
  const seconds = (nanoseconds % 60e9) / 1e9;
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}

/** How long, for people, as in `Up 5 minutes` or `About an hour`. */
export function humanDuration(duration: number): string {
  const seconds = Math.floor(duration);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(duration / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(duration / 3600);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(duration / 3600 / 24 / 365)} years`;
}
