/**
 * Pure. How Go prints and matches what Docker lets users see: `%q`, durations read, `filepath.Match`, `filepath.Clean`.
 */
import { Fault } from "#spec/fault.ts";

/** Go's `%q` of a string. */
export function goQuote(text: string): string {
  let quoted = '"';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const named = quotedChars[char];
    if (named !== undefined) quoted += named;
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    else quoted += char;
  }
  return `${quoted}"`;
}

const quotedChars: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** Go's `%q` of a slice of strings: `["a" "b"]`. */
export function goQuoteList(words: readonly string[]): string {
  return `[${words.map(goQuote).join(" ")}]`;
}

/** Go's `%q` of an integer: the character it stands for, in single quotes. */
export function goQuoteRune(code: number): string {
  const char = String.fromCodePoint(code <= 0x10ffff ? code : 0xfffd);
  if (code === 0) return "'\\x00'";
  const quoted = char === "'" ? "\\'" : char === '"' ? '"' : goQuote(char).slice(1, -1);
  return `'${quoted}'`;
}

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

/** Nanoseconds of a Go duration such as `1m30s` or `1.5h`. @throws Fault `invalid` in Go's words. */
export function parseGoDuration(text: string): number {
  const quoted = goQuote(text);
  const sign = text.startsWith("-") ? -1 : 1;
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
  return sign * Math.round(total);
}

/** Go's `filepath.Clean`: the shortest equal path, `.` for nothing, no trailing slash. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith("/");
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!rooted) kept.push("..");
  }
  const joined = kept.join("/");
  if (rooted) return `/${joined}`;
  return joined === "" ? "." : joined;
}

/** True when `*`, `?` or `[` stands unescaped in the path. */
export function hasWildcards(path: string): boolean {
  return /[*?[]/.test(path.replace(/\\./gs, ""));
}

/** Go's `filepath.Match` as a test; a pattern with bad syntax matches nothing. `*` and `?` do not cross `/`. */
export function pathMatcher(pattern: string): (path: string) => boolean {
  const source = globSource(pattern);
  if (source === undefined) return () => false;
  const expression = new RegExp(`^${source}$`, "su");
  return (path) => expression.test(path);
}

function globSource(pattern: string): string | undefined {
  let source = "";
  const chars = [...pattern];
  for (let index = 0; index < chars.length; index++) {
    const char = chars[index] ?? "";
    if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "[") {
      const set = bracketSet(chars, index + 1);
      if (set === undefined) return undefined;
      source += set.source;
      index = set.end;
    } else if (char === "\\") {
      const escaped = chars[++index];
      if (escaped === undefined) return undefined;
      source += literal(escaped);
    } else source += literal(char);
  }
  return source;
}

/** `[a-z]` or `[^a-z]` from behind the bracket: its expression and the index of `]`; undefined for bad syntax. */
function bracketSet(chars: readonly string[], from: number): { source: string; end: number } | undefined {
  let index = from;
  const negated = chars[index] === "^";
  if (negated) index++;
  const one = (): string | undefined => {
    const char = chars[index++];
    if (char === "-" || char === "]") return undefined;
    return char === "\\" ? chars[index++] : char;
  };
  let ranges = "";
  for (let count = 0; count === 0 || chars[index] !== "]"; count++) {
    const low = one();
    let high = low;
    if (chars[index] === "-") {
      index++;
      high = one();
    }
    if (low === undefined || high === undefined || index >= chars.length) return undefined;
    // A range that runs backwards is allowed and holds nothing.
    if (low <= high) ranges += `${inSet(low)}-${inSet(high)}`;
  }
  return { source: `[${negated ? "^" : ""}${ranges}]`, end: index };
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/u, "\\$&");
}

function inSet(char: string): string {
  return char.replace(/[\\^\]-]/u, "\\$&");
}
