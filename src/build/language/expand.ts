/**
 * Pure. Variable substitution and word splitting as the Dockerfile language defines them.
 * Owns: `$v`, `${v}`, `${v:-w}` and its kin, quotes, escapes.
 * Promises: the same text, environment and escape character give the same words. Never: reads an environment of its own.
 */
import { Fault } from "#spec/fault.ts";
import { goQuote } from "#spec/go-quote.ts";
import { replacePattern, trimPattern } from "./shell-pattern.ts";

/** The variables a word may refer to. */
export interface Environment {
  get(name: string): string | undefined;
}

export interface ExpandOptions {
  /** The character that escapes the next one: `\` or `` ` `` (the `escape` parser directive). */
  readonly escapeChar: string;
  /** Keep quotes in the result (to tell a quoted heredoc delimiter from a bare one). */
  readonly rawQuotes?: boolean;
  /** Keep escape characters in the result. */
  readonly rawEscapes?: boolean;
  /** Leave references to unset variables as they are. */
  readonly keepUnset?: boolean;
}

/**
 * One word with its references replaced and its quotes removed; spaces inside are kept.
 * @throws Fault `invalid` with Docker's sentence for an unmatched quote, a bad substitution or a `${v:?}` that fails.
 */
export function expandWord(word: string, environment: Environment, options: ExpandOptions): string {
  return expand(word, environment, options).text;
}

/** Like `expandWord`, then split at spaces that are not quoted; what a variable holds is split too. @throws as there. */
export function expandWords(word: string, environment: Environment, options: ExpandOptions): string[] {
  return expand(word, environment, options).words;
}

/** `NAME=value` lines as a map; a later line wins. */
export function environmentOf(lines: Iterable<string>): Map<string, string> {
  const map = new Map<string, string>();
  for (const line of lines) {
    const equals = line.indexOf("=");
    if (equals < 0) map.set(line, "");
    else map.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return map;
}

function expand(word: string, environment: Environment, options: ExpandOptions): Expanded {
  try {
    return new Scanner(word, environment, options).until(undefined, options.rawEscapes === true);
  } catch (error) {
    if (!(error instanceof SubstitutionError)) throw error;
    throw new Fault("invalid", `failed to process ${goQuote(word)}: ${error.message}`, {
      cause: error,
    });
  }
}

class SubstitutionError extends Error {}

interface Expanded {
  readonly text: string;
  readonly words: string[];
}

/** Words as they grow: plain characters split at spaces, raw ones never do. */
class WordSplitter {
  readonly #words: string[] = [];
  #current = "";
  #inWord = false;

  add(text: string): void {
    for (const char of text) {
      if (!isSpace(char)) this.addRaw(char);
      else if (this.#inWord && this.#current !== "") {
        this.#words.push(this.#current);
        this.#current = "";
        this.#inWord = false;
      }
    }
  }

  addRaw(text: string): void {
    this.#current += text;
    this.#inWord = true;
  }

  end(): string[] {
    if (this.#current !== "") this.#words.push(this.#current);
    return this.#words;
  }
}

class Scanner {
  readonly #text: string;
  readonly #environment: Environment;
  readonly #options: ExpandOptions;
  #at = 0;

  constructor(text: string, environment: Environment, options: ExpandOptions) {
    this.#text = text;
    this.#environment = environment;
    this.#options = options;
  }

  /** Reads to `stop` (consumed) or, without one, to the end. */
  until(stop: string | undefined, rawEscapes: boolean): Expanded {
    let text = "";
    const words = new WordSplitter();
    for (;;) {
      const char = this.#peek();
      if (char === undefined) break;
      if (char === stop) {
        this.#at++;
        return { text, words: words.end() };
      }
      if (char === "$") {
        const value = this.#dollar(rawEscapes);
        text += value;
        words.add(value);
      } else if (char === "'" || char === '"' || char === "<") {
        const value =
          char === "'" ? this.#singleQuoted() : char === '"' ? this.#doubleQuoted(rawEscapes) : this.#angle();
        text += value;
        words.addRaw(value);
      } else if (char === this.#options.escapeChar) {
        this.#at++;
        if (rawEscapes) {
          words.addRaw(char);
          text += char;
        }
        const escaped = this.#next();
        if (escaped === undefined) break;
        words.addRaw(escaped);
        text += escaped;
      } else {
        this.#at++;
        words.add(char);
        text += char;
      }
    }
    if (stop !== undefined)
      throw new SubstitutionError(`unexpected end of statement while looking for matching ${stop}`);
    return { text, words: words.end() };
  }

  #peek(): string | undefined {
    const code = this.#text.codePointAt(this.#at);
    return code === undefined ? undefined : String.fromCodePoint(code);
  }

  #next(): string | undefined {
    const char = this.#peek();
    if (char !== undefined) this.#at += char.length;
    return char;
  }

  #singleQuoted(): string {
    this.#at++;
    const end = this.#text.indexOf("'", this.#at);
    if (end < 0)
      throw new SubstitutionError("unexpected end of statement while looking for matching single-quote");
    const inner = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return this.#options.rawQuotes ? `'${inner}'` : inner;
  }

  #doubleQuoted(rawEscapes: boolean): string {
    const escapeChar = this.#options.escapeChar;
    let text = "";
    this.#at++;
    for (;;) {
      const char = this.#peek();
      if (char === undefined)
        throw new SubstitutionError("unexpected end of statement while looking for matching double-quote");
      if (char === '"') {
        this.#at++;
        return this.#options.rawQuotes ? `"${text}"` : text;
      }
      if (char === "$") {
        text += this.#dollar(rawEscapes);
        continue;
      }
      this.#next();
      if (char !== escapeChar) {
        text += char;
        continue;
      }
      if (rawEscapes) text += char;
      const escaped = this.#peek();
      if (escaped === undefined) continue;
      // Inside double quotes only these can be escaped; before anything else the escape is literal.
      if (escaped === '"' || escaped === "$" || escaped === escapeChar) text += this.#next() ?? "";
      else text += char;
    }
  }

  /** `<`, or `<<` with the blanks after it kept in the same word, so that a heredoc stays one word. */
  #angle(): string {
    this.#at++;
    if (this.#peek() !== "<") return "<";
    this.#at++;
    let text = "<<";
    for (let char = this.#peek(); char === " " || char === "\t" || char === "\r"; char = this.#peek()) {
      text += char;
      this.#at++;
    }
    return text;
  }

  #dollar(rawEscapes: boolean): string {
    this.#at++;
    if (this.#peek() !== "{") {
      const name = this.#name();
      if (name === "") return "$";
      return this.#environment.get(name) ?? (this.#options.keepUnset ? `$${name}` : "");
    }
    this.#at++;
    const first = this.#peek();
    if (first === undefined) throw new SubstitutionError("syntax error: missing '}'");
    if (first === "{" || first === "}" || first === ":")
      throw new SubstitutionError("syntax error: bad substitution");
    const name = this.#name();
    const operator = this.#next();
    if (operator === undefined) throw new SubstitutionError("syntax error: missing '}'");
    if (operator === "}")
      return this.#environment.get(name) ?? (this.#options.keepUnset ? `\${${name}}` : "");
    if (operator === "/") return this.#replace(name);
    return this.#modified(name, operator, rawEscapes);
  }

  #modified(name: string, first: string, rawEscapes: boolean): string {
    const nullIsUnset = first === ":";
    const operator = nullIsUnset ? (this.#next() ?? "") : first;
    const shown = nullIsUnset ? `:${operator}` : operator;
    const trims = operator === "#" || operator === "%";
    if (!"+-?#%".includes(operator) || operator === "" || (trims && nullIsUnset))
      throw new SubstitutionError(`unsupported modifier (${shown}) in substitution`);
    const word = this.#operand("}", trims || rawEscapes);
    const value = this.#environment.get(name);
    if (value === undefined && this.#options.keepUnset) return `\${${name}${shown}${word}}`;
    const absent = value === undefined || (nullIsUnset && value === "");
    switch (operator) {
      case "-":
        return absent ? word : value;
      case "+":
        return absent ? "" : word;
      case "?":
        if (!absent) return value;
        throw new SubstitutionError(
          `${name}: ${word !== "" ? word : `is not allowed to be ${value === undefined ? "unset" : "empty"}`}`,
        );
      default: {
        const greedy = word.startsWith(operator);
        const pattern = greedy ? word.slice(1) : word;
        return this.#pattern(pattern, () =>
          trimPattern(value ?? "", pattern, { greedy, from: operator === "#" ? "start" : "end" }),
        );
      }
    }
  }

  #replace(name: string): string {
    const all = this.#peek() === "/";
    if (all) this.#at++;
    const pattern = this.#operand("/", true);
    const replacement = this.#operand("}", true);
    const value = this.#environment.get(name);
    if (value === undefined && this.#options.keepUnset) return `\${${name}/${pattern}/${replacement}}`;
    return this.#pattern(pattern, () => replacePattern(value ?? "", pattern, replacement, all));
  }

  #operand(stop: "}" | "/", rawEscapes: boolean): string {
    try {
      return this.until(stop, rawEscapes).text;
    } catch (error) {
      if (error instanceof SubstitutionError && this.#peek() === undefined)
        throw new SubstitutionError(
          stop === "}" ? "syntax error: missing '}'" : "syntax error: missing '/' in substitution",
        );
      throw error;
    }
  }

  #pattern<T>(pattern: string, use: () => T): T {
    try {
      return use();
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new SubstitutionError(`invalid pattern (${pattern}) in substitution: ${error.message}`);
    }
  }

  /** A name, a run of digits, or one special parameter (POSIX 2.5.2). */
  #name(): string {
    const rest = this.#text.slice(this.#at);
    const name = /^(?:\d+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*)/u.exec(rest)?.[0] ?? "";
    this.#at += name.length;
    return name;
  }
}

function isSpace(char: string): boolean {
  return /^\s$/u.test(char);
}
