/**
 * Times as Docker's API takes and gives them.
 * Pure.
 */
import { Fault } from "#spec/fault.ts";

const nanosPerSecond = 1_000_000_000n;

/**
 * Nanoseconds since the epoch from `seconds[.fraction]`, or from RFC 3339; undefined for nothing and for 0, which
 * clients send for "no limit".
 * @throws Fault `invalid` naming the parameter.
 */
export function parseTimestamp(value: string | undefined, name: string): bigint | undefined {
  if (value === undefined || value === "" || value === "0") return undefined;
  const [, seconds, fraction = ""] = /^(-?[0-9]{1,12})(?:\.([0-9]{0,9}))?$/.exec(value) ?? [];
  if (seconds !== undefined) {
    const whole = BigInt(seconds) * nanosPerSecond;
    const part = BigInt(fraction.padEnd(9, "0"));
    return seconds.startsWith("-") ? whole - part : whole + part;
  }
  const milliseconds = Date.parse(value);
  if (Number.isNaN(milliseconds))
    throw new Fault(
      "invalid",
      `invalid value for "${name}": ${JSON.stringify(value)} is neither seconds since the epoch nor an RFC 3339 time`,
    );
  return timeToNano(value);
}

/** Nanoseconds since the epoch of an RFC 3339 time, all nine digits kept. */
export function timeToNano(time: string): bigint {
  const fraction = /\.([0-9]{1,9})/.exec(time)?.[1] ?? "";
  const seconds = Math.floor(Date.parse(time) / 1000);
  return BigInt(seconds) * nanosPerSecond + BigInt(fraction.padEnd(9, "0"));
}

/** Whole seconds since the epoch of an RFC 3339 time; Docker's number for "never" when it is the zero time. */
export function timeToSeconds(time: string | undefined): number {
  if (time === undefined || time === "") return 0;
  return Math.floor(Date.parse(time) / 1000);
}

let lastSecond = -1;
let lastPrefix = "";

/** RFC 3339 with nine digits, in UTC: what `logs --timestamps` prints. Keeps the last second, since lines come in order. */
export function formatNano(timeNano: bigint): string {
  const second = Number(timeNano / nanosPerSecond);
  if (second !== lastSecond) {
    lastSecond = second;
    lastPrefix = new Date(second * 1000).toISOString().slice(0, 19);
  }
  return `${lastPrefix}.${String(timeNano % nanosPerSecond).padStart(9, "0")}Z`;
}

/** How long, for people, as in `Up 5 minutes`: the words of Docker's go-units. */
export function humanDuration(seconds: number): string {
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${Math.floor(seconds)} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(seconds / 3600 / 24 / 365)} years`;
}

/** Seconds in one go duration such as `1h30m` or `90s`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const part = /([0-9]+(?:\.[0-9]*)?)(h|ms|m|s|us|µs|ns)/gy;
  const seconds: Readonly<Record<string, number>> = {
    h: 3600,
    m: 60,
    s: 1,
    ms: 1e-3,
    us: 1e-6,
    µs: 1e-6,
    ns: 1e-9,
  };
  let total = 0;
  let end = 0;
  for (const match of text.matchAll(part)) {
    total += Number(match[1]) * (seconds[match[2] ?? ""] ?? 0);
    end = match.index + match[0].length;
  }
  return end === text.length && end > 0 ? total : undefined;
}
