/** Pure. Sizes, times and ids as the docker CLI writes and reads them. */
import { Fault } from "#spec/fault.ts";
import { goDurationOrNone, humanDuration } from "#spec/go-duration.ts";

const decimal = ["B", "kB", "MB", "GB", "TB", "PB"];

/** `1.98MB`: so many significant digits, steps of 1000. */
export function humanSize(bytes: number, digits = 3): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < decimal.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(digits))}${decimal[unit]}`;
}

export function timeAgo(unixSeconds: number, nowMs: number): string {
  return `${humanDuration(nowMs / 1000 - unixSeconds)} ago`;
}

/** Without `sha256:`, and short unless asked otherwise. */
export function shownId(id: string, whole: boolean): string {
  const hex = id.startsWith("sha256:") ? id.slice(7) : id;
  return whole ? id : hex.slice(0, 12);
}

/** `512m`, `1.5g`, `1024`: steps of 1024. @throws Fault `invalid`. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp])?(?:i?b)?$/i.exec(text.trim());
  if (match === null) throw new Fault("invalid", `invalid size: '${text}'`);
  const power = "kmgtp".indexOf((match[2] ?? "").toLowerCase()) + 1;
  return Math.floor(Number(match[1]) * 1024 ** (match[2] === undefined ? 0 : power));
}

/** CPUs as nano-CPUs: a decimal number, or a fraction as `1/2`. @throws Fault `invalid`. */
export function parseCpus(text: string): number {
  const [, whole = "", decimals = "", below = "1"] = /^\+?(\d*)(?:\.(\d*))?(?:\/(\d+))?$/.exec(text) ?? [];
  const divisor = BigInt(below) * 10n ** BigInt(decimals.length);
  if (whole + decimals === "" || divisor === 0n)
    throw new Fault("invalid", `failed to parse ${text} as a rational number`);
  const nano = BigInt(whole + decimals) * 1_000_000_000n;
  if (nano % divisor !== 0n) throw new Fault("invalid", "value is too precise");
  return Number(nano / divisor);
}

/**
 * What `--since` and `--until` take, as the API wants it: a duration before now, a date or time, local where it says no
 * zone, or seconds since the epoch. @throws Fault `invalid`.
 */
export function apiTime(text: string, nowMs: number): string {
  const nanoseconds = text === "0" ? undefined : goDurationOrNone(text);
  if (nanoseconds !== undefined) return (nowMs / 1000 - nanoseconds / 1e9).toFixed(9);
  if (/^-?\d+(\.\d+)?$/.test(text)) return text;
  const match =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d\d:\d\d)?$/i.exec(text);
  const [, date, hours = "00", minutes = "00", whole = "00", fraction = "", zone = ""] = match ?? [];
  const millis = Date.parse(`${date}T${hours}:${minutes}:${whole}${zone.toUpperCase()}`);
  if (Number.isNaN(millis))
    throw new Fault("invalid", `failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return `${millis / 1000}.${fraction.padEnd(9, "0")}`;
}

const binary = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `1.5MiB`: four significant digits, steps of 1024. */
export function binarySize(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < binary.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${binary[unit]}`;
}

/** `1.11kB`: three significant digits, steps of 1000. */
export function decimalSize(bytes: number): string {
  return humanSize(bytes, 3);
}
