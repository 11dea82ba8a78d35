/** Pure. How one logical line falls into keyword, flags and arguments. */
import { Fault } from "#spec/fault.ts";

export interface SplitLine {
  /** As written. */
  readonly keyword: string;
  /** `--name` or `--name=value`, quotes removed. */
  readonly flags: readonly string[];
  /** The rest, trimmed. */
  readonly rest: string;
}

/** Docker's blanks: space, tab, vertical tab, form feed, carriage return. */
const blanks = /[\t\v\f\r ]+/;

export function splitLine(text: string, escapeChar: string): SplitLine {
  const trimmed = text.trim();
  const gap = blanks.exec(trimmed);
  if (gap === null) return { keyword: trimmed, flags: [], rest: "" };
  const keyword = trimmed.slice(0, gap.index);
  const [flags, rest] = takeFlags(trimmed.slice(gap.index + gap[0].length), escapeChar);
  return { keyword, flags, rest: rest.trim() };
}

/** Words that start with `--` directly behind the keyword; a bare `--` ends them. */
function takeFlags(text: string, escapeChar: string): [string[], string] {
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && /\s/.test(text[at] ?? "")) at++;
    if (!text.startsWith("--", at)) return [flags, text.slice(at)];
    const [word, end] = takeFlag(text, at, escapeChar);
    if (word === "--") return [flags, text.slice(end)];
    flags.push(word);
    at = end;
  }
}

/** One flag from `start`, quotes and escapes resolved, and where it ends. */
function takeFlag(text: string, start: number, escapeChar: string): [string, number] {
  let word = "";
  let quote = "";
  let at = start;
  for (; at < text.length; at++) {
    const char = text[at] ?? "";
    if (quote === "" && /\s/.test(char)) break;
    if (char === escapeChar) word += text[++at] ?? "";
    else if (quote === "" && (char === "'" || char === '"')) quote = char;
    else if (char === quote) quote = "";
    else word += char;
  }
  return [word, at];
}

/** Arguments separated by blanks, taken as they stand. */
export function plainWords(rest: string): string[] {
  return rest === "" ? [] : rest.split(blanks);
}

/** Arguments of ENV, LABEL and ARG: quotes and escapes keep blanks inside a word, and stay in it. */
export function quotedWords(rest: string, escapeChar: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  let open = false;
  const end = () => {
    if (open || word !== "") words.push(word);
    word = "";
    open = false;
  };
  const chars = [...rest];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? "";
    if (quote === "" && /\s/u.test(char)) {
      end();
      continue;
    }
    if (char === escapeChar && quote !== "'") {
      if (at + 1 === chars.length) break;
      word += char + (chars[++at] ?? "");
      continue;
    }
    if (quote !== "") {
      if (char === quote) quote = "";
    } else if (char === "'" || char === '"') {
      quote = char;
      open = true;
    }
    word += char;
  }
  end();
  return words;
}

/** Words that do not fit together, whatever they mean. */
export class WordsFault extends Fault {
  constructor(message: string) {
    super("invalid", message);
  }
}

/** `name=value` words, or the legacy `name value…` where all the rest is one value. @throws Fault `invalid`. */
export function keyValues(
  rest: string,
  escapeChar: string,
  keyword: string,
): readonly { key: string; value: string }[] {
  const words = quotedWords(rest, escapeChar);
  const first = words[0];
  if (first === undefined) throw new Fault("invalid", `${keyword} requires at least one argument`);
  if (!first.includes("=")) {
    const gap = blanks.exec(rest);
    if (gap === null) throw new WordsFault(`${keyword} must have two arguments`);
    return [named(keyword, rest.slice(0, gap.index), rest.slice(gap.index + gap[0].length))];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 0)
      throw new WordsFault(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    return named(keyword, word.slice(0, equals), word.slice(equals + 1));
  });
}

function named(keyword: string, key: string, value: string): { key: string; value: string } {
  if (key === "") throw new Fault("invalid", `${keyword} names can not be blank`);
  return { key, value };
}

/**
 * The strings of a JSON array, or undefined when `rest` is not one (then it is meant for the shell).
 * @throws Fault `invalid` when it is an array of something else.
 */
export function jsonWords(rest: string): string[] | undefined {
  if (!rest.startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(rest);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  return value.map((item: unknown) => {
    if (typeof item === "string") return item;
    throw new WordsFault("when using JSON array syntax, arrays must be comprised of strings only");
  });
}
