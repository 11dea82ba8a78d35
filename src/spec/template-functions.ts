/**
 * What templates can call: Go's own functions and those the docker CLI adds.
 * Pure. Values are JSON's, and bigints where a number would lose digits.
 */
import { Fault } from "./fault.ts";

export type Value = unknown;

/** What Go takes for true: anything but zero, nothing and the empty. */
export function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** As Go prints a value. */
export function show(value: Value): string {
  if (value === undefined) return "<no value>";
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).map(([key, each]) => `${key}:${show(each)}`);
    return `map[${entries.sort().join(" ")}]`;
  }
  return String(value);
}

/** Keys or positions with what is there; a number counts up to itself. */
export function entriesOf(value: Value): [Value, Value][] {
  if (typeof value === "number") return Array.from({ length: value }, (_, at) => [at, at]);
  if (Array.isArray(value)) return value.map((each: Value, index) => [index, each]);
  if (typeof value === "object" && value !== null)
    return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return [];
}

/** A list's row: its fields are all there are, and asking for another is a mistake, not an absence. */
const rowPrototype = {
  /** In the order of the names, as the docker CLI writes rows. */
  toJSON(this: object): object {
    return Object.fromEntries(Object.entries(this).sort(([a], [b]) => (a < b ? -1 : 1)));
  },
};

/** Makes a row of an object; functions among its fields are methods that templates call. */
export function strict<T extends object>(row: T): T {
  return Object.assign(Object.create(rowPrototype) as T, row);
}

export function isRow(value: Value): boolean {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === rowPrototype;
}

/** As Go's encoder writes text that might end up in a page. */
export function escapeHtml(json: string): string {
  return json.replace(/[<>&]/g, (each) => `\\u00${each.charCodeAt(0).toString(16)}`);
}

export const templateFunctions: Readonly<Record<string, (...args: Value[]) => Value>> = {
  json: (value) => {
    const text = JSON.stringify(value ?? null, (_, each: Value) => exactNumber(each));
    return isRow(value) ? escapeHtml(text) : text;
  },
  index: (value, ...keys) => keys.reduce(item, value),
  slice: (value, from = 0, to) => {
    const end = to === undefined ? undefined : Number(to);
    return Array.isArray(value) ? value.slice(Number(from), end) : show(value).slice(Number(from), end);
  },
  len: (value) =>
    typeof value === "string" ? new TextEncoder().encode(value).length : entriesOf(value).length,
  join: (list, separator) => (Array.isArray(list) ? list.map(show).join(String(separator)) : show(list)),
  split: (text, separator) => String(text).split(String(separator)),
  upper: (text) => show(text).toUpperCase(),
  lower: (text) => show(text).toLowerCase(),
  title: (text) => show(text).replace(/(?<![\p{L}\p{N}_'])\p{L}/gu, (letter) => letter.toUpperCase()),
  truncate: (text, length) => [...show(text)].slice(0, Number(length)).join(""),
  pad: (text, before, after) =>
    text === "" ? "" : " ".repeat(Number(before)) + show(text) + " ".repeat(Number(after)),
  println: (...values) => `${values.map(show).join(" ")}\n`,
  print,
  printf: (format, ...values) => printf(String(format), values),
  html: (...values) => print(...values).replace(/[&<>"'\0]/g, (each) => htmlNames[each] ?? each),
  js: (...values) =>
    JSON.stringify(print(...values))
      .slice(1, -1)
      .replaceAll("'", "\\'"),
  urlquery: (...values) => encodeURIComponent(print(...values)).replaceAll("%20", "+"),
  eq: (one, ...others) => others.some((other) => compare(one, other) === 0),
  ne: (one, other) => compare(one, other) !== 0,
  lt: (one, other) => compare(one, other) < 0,
  le: (one, other) => compare(one, other) <= 0,
  gt: (one, other) => compare(one, other) > 0,
  ge: (one, other) => compare(one, other) >= 0,
  and: (...values) => {
    const at = values.findIndex((value) => !isTrue(value));
    return at < 0 ? values.at(-1) : values[at];
  },
  or: (...values) => {
    const at = values.findIndex(isTrue);
    return at < 0 ? values.at(-1) : values[at];
  },
  not: (value) => !isTrue(value),
};

const htmlNames: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
  "\0": "\uFFFD",
};

/** A number of more digits than JavaScript's keep, as JSON writes it. */
function exactNumber(value: Value): Value {
  const { rawJSON } = JSON as { rawJSON?: (text: string) => unknown };
  return typeof value === "bigint" ? (rawJSON?.(String(value)) ?? Number(value)) : value;
}

/** Blanks only between operands of which neither is a text. */
function print(...values: Value[]): string {
  return values
    .map((value, at) => {
      const before = values[at - 1];
      const apart = at > 0 && typeof value !== "string" && typeof before !== "string";
      return (apart ? " " : "") + show(value);
    })
    .join("");
}

/** NaN, which no comparison likes, for what cannot be compared. */
function compare(one: Value, other: Value): number {
  const numbers = [one, other].every((each) => typeof each === "number" || typeof each === "bigint");
  if (!numbers && typeof one !== typeof other) return Number.NaN;
  const [a, b] = [one as number | string, other as number | string];
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint and a number may be the same
  return a == b ? 0 : a < b ? -1 : a > b ? 1 : Number.NaN;
}

function item(value: Value, key: Value): Value {
  if (Array.isArray(value)) {
    const index = Number(key);
    if (index < 0 || index >= value.length)
      throw new Fault("invalid", `error calling index: index out of range: ${index}`);
    return value[index];
  }
  if (typeof value !== "object" || value === null) return undefined;
  const map = value as Record<string, Value>;
  if (Object.hasOwn(map, String(key))) return map[String(key)];
  // Of a map of texts, what is not there is an empty one.
  return Object.values(map).every((each) => typeof each === "string") ? "" : undefined;
}

const verbs = /%(?:%|([-+# 0]*)(\d*)(?:\.(\d+))?([sdvqtTxXfgc]))/g;

function printf(format: string, values: readonly Value[]): string {
  let next = 0;
  return format.replace(
    verbs,
    (_, flags: string | undefined, width = "", precision: string | undefined, verb = "") => {
      if (flags === undefined) return "%";
      if (next >= values.length) return `%!${verb}(MISSING)`;
      const text = verbText(verb, values[next++], precision);
      if (flags.includes("-")) return text.padEnd(Number(width));
      return text.padStart(Number(width), flags.includes("0") ? "0" : " ");
    },
  );
}

function verbText(verb: string, value: Value, precision: string | undefined): string {
  switch (verb) {
    case "q":
      return JSON.stringify(show(value));
    case "f":
      return Number(value).toFixed(Number(precision ?? 6));
    case "x":
      return typeof value === "string" ? hex(value) : Number(value).toString(16);
    case "X":
      return verbText("x", value, precision).toUpperCase();
    case "c":
      return String.fromCodePoint(Number(value));
    case "T":
      return typeOf(value);
    default:
      return precision === undefined ? show(value) : [...show(value)].slice(0, Number(precision)).join("");
  }
}

function hex(text: string): string {
  return [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function typeOf(value: Value): string {
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float64";
  if (typeof value === "boolean") return "bool";
  if (Array.isArray(value)) return "[]interface {}";
  return typeof value === "object" ? "map[string]interface {}" : typeof value;
}
