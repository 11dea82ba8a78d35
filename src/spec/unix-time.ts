/**
 * Instants as nanoseconds since the epoch (bigint), and the texts Docker writes them in.
 * Pure. Owns: RFC 3339 and `seconds.nanoseconds`. Promises: no precision is lost. Never: reads a clock.
 */
import { Fault } from "./fault.ts";

const RFC3339 = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?\d*(Z|[+-]\d{2}:\d{2})$/;
const SECONDS = /^(-?\d{1,18})(?:\.(\d{1,9})\d*)?$/;
const second = 1_000_000_000n;

/** Milliseconds of `Date.now()` as nanoseconds. */
export function nanoOfMillis(millis: number): bigint {
  return BigInt(Math.trunc(millis)) * 1_000_000n;
}

/** Milliseconds with a fraction, to the microsecond: what a number of them can tell. Equal ones stay equal. */
export function nanoOfFineMillis(millis: number): bigint {
  return BigInt(Math.round(millis * 1000)) * 1000n;
}

/** Nanoseconds since the epoch of an RFC 3339 text with up to nine fractional digits; undefined for other text. */
export function parseRfc3339(text: string): bigint | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const millis = Date.parse(`${match[1]}T${match[2]}${match[4]}`);
  if (Number.isNaN(millis)) return undefined;
  return nanoOfMillis(millis) + BigInt((match[3] ?? "").padEnd(9, "0"));
}

/** RFC 3339 in UTC with exactly nine fractional digits, as `docker logs --timestamps` prints. */
export function formatRfc3339(timeNano: bigint): string {
  const nanos = ((timeNano % second) + second) % second;
  const whole = timeNano - nanos;
  if (whole !== shownSecond.nano)
    shownSecond = { nano: whole, text: new Date(Number(whole / 1_000_000n)).toISOString().slice(0, 19) };
  return `${shownSecond.text}.${nanos.toString().padStart(9, "0")}Z`;
}

/** The last one that was written: times follow one another closely, a million of them in a log. */
let shownSecond = { nano: 0n, text: "1970-01-01T00:00:00" };

/**
 * The API's `since` and `until`: `1136073600`, `1136073600.000000001`, or RFC 3339.
 * Undefined for an absent or empty text. @throws Fault `invalid` for any other text.
 */
export function parseUnixTime(text: string | null | undefined): bigint | undefined {
  if (text === undefined || text === null || text === "") return undefined;
  const match = SECONDS.exec(text);
  if (match?.[1] !== undefined) return BigInt(match[1]) * second + BigInt((match[2] ?? "").padEnd(9, "0"));
  const nano = parseRfc3339(text);
  if (nano === undefined)
    throw new Fault(
      "invalid",
      `invalid time ${JSON.stringify(text)}: want seconds since the epoch, with a fraction if need be, or RFC 3339`,
    );
  return nano;
}

/** `1136073600.000000001`, what clients send as `since` and `until`. */
export function formatUnixTime(timeNano: bigint): string {
  return `${timeNano / second}.${(timeNano % second).toString().padStart(9, "0")}`;
}

/** Whole seconds since the epoch of an RFC 3339 time; 0 for none. */
export function timeToSeconds(time: string | undefined): number {
  if (time === undefined || time === "") return 0;
  return Math.floor(Date.parse(time) / 1000);
}
