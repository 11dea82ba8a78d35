/**
 * Docker's `filters` parameter: `{"label":["a=b"]}`, or the old `{"label":{"a=b":true}}`.
 * Pure. Owns: parsing and matching. Promises: Docker's refusals word for word. Never: knows what a key means.
 */
import { Fault } from "./fault.ts";

/** Key to the values asked for. Values of one key are alternatives (labels: all must hold); keys must all hold. */
export type Filters = Readonly<Record<string, readonly string[]>>;

/**
 * Parses the query parameter; absent or empty gives no filters. Duplicate values are dropped.
 * @throws Fault `invalid` on malformed text, and on a key that is not in `allowed` (`invalid filter 'x'`).
 */
export function parseFilters(
  text: string | null | undefined,
  allowed: readonly string[],
): Record<string, string[]> {
  if (text === undefined || text === null || text === "") return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new Fault("invalid", "invalid filter", { cause });
  }
  if (parsed === null) return {};
  if (typeof parsed !== "object" || Array.isArray(parsed)) throw new Fault("invalid", "invalid filter");
  const filters: Record<string, string[]> = {};
  for (const [key, given] of Object.entries(parsed)) {
    const values = valuesOf(given);
    if (values === undefined) throw new Fault("invalid", "invalid filter");
    if (!allowed.includes(key)) throw new Fault("invalid", `invalid filter '${key}'`);
    if (values.length > 0) filters[key] = [...new Set(values)];
  }
  return filters;
}

function valuesOf(given: unknown): string[] | undefined {
  if (given === null) return [];
  if (typeof given !== "object") return undefined;
  if (!Array.isArray(given)) return Object.keys(given).filter((key) => Reflect.get(given, key) === true);
  return given.every((value) => typeof value === "string") ? given : undefined;
}

/** The wire form, for clients. */
export function formatFilters(filters: Filters): string {
  return JSON.stringify(filters);
}

/** True when every `label` value, `key` or `key=value`, holds for `labels`; also without any. */
export function matchesLabels(
  wanted: readonly string[] | undefined,
  labels: Readonly<Record<string, string>> | null | undefined,
): boolean {
  return (wanted ?? []).every((text) => {
    const equals = text.indexOf("=");
    const key = equals < 0 ? text : text.slice(0, equals);
    if (labels === null || labels === undefined || !Object.hasOwn(labels, key)) return false;
    return equals < 0 || labels[key] === text.slice(equals + 1);
  });
}

/** True when `actual` is among the values of `key`, or none are given. */
export function matchesExactly(filters: Filters, key: string, actual: string): boolean {
  const values = filters[key];
  return values === undefined || values.length === 0 || values.includes(actual);
}

/** True when `actual` begins with one of the values of `key`, or none are given. */
export function matchesPrefix(filters: Filters, key: string, actual: string): boolean {
  const values = filters[key];
  return values === undefined || values.length === 0 || values.some((value) => actual.startsWith(value));
}

/** True when one of the values of `key`, as a regular expression, is found in `actual`, or none are given. */
export function matchesPattern(filters: Filters, key: string, actual: string): boolean {
  const values = filters[key];
  if (values === undefined || values.length === 0) return true;
  return values.some((value) => value === actual || pattern(value)?.test(actual) === true);
}

function pattern(text: string): RegExp | undefined {
  try {
    return new RegExp(text);
  } catch {
    return undefined;
  }
}

/**
 * The truth of a yes/no filter such as `dangling`; `fallback` where it is not given.
 * @throws Fault `invalid` for anything but one of true, 1, false, 0.
 */
export function booleanFilter(filters: Filters, key: string, fallback: boolean): boolean {
  const values = filters[key];
  if (values === undefined || values.length === 0) return fallback;
  const [value] = values;
  if (values.length === 1 && (value === "true" || value === "1")) return true;
  if (values.length === 1 && (value === "false" || value === "0")) return false;
  throw new Fault("invalid", `invalid filter '${key}=[${values.join(" ")}]'`);
}
