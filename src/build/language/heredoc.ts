/** Pure. Heredocs of `RUN`, `COPY` and `ADD`: `<<EOF`, `<<-EOF`, `3<<"EOF"`. */
import { Fault } from "#spec/fault.ts";
import { expandWords } from "./expand.ts";

/** What stands in the line; the body follows it in the file. */
export interface HeredocWord {
  /** The delimiter, which is also the file's name for COPY and ADD. */
  readonly name: string;
  /** False when the delimiter was quoted: the body is literal. */
  readonly expand: boolean;
  /** `<<-`: leading tabs of the body are dropped. */
  readonly chomp: boolean;
  readonly descriptor: number;
}

export interface Heredoc extends HeredocWord {
  /** The body as written, with its newlines, tabs not yet dropped. */
  readonly content: string;
}

const none: ReadonlyMap<string, string> = new Map();

/** `word` as a heredoc redirection, or undefined when it is none. @throws Fault `invalid` for an unmatched quote. */
export function parseHeredocWord(word: string): HeredocWord | undefined {
  const match = /^(\d*)<<(-?)\s*([^<]*)$/.exec(word);
  const rest = match?.[3] ?? "";
  if (match === null || rest === "") return undefined;
  const words = expandWords(rest, none, { escapeChar: "\\", keepUnset: true });
  const name = words[0];
  if (name === undefined || words.length !== 1) return undefined;
  // A quote that disappears is one that quoted something.
  const raw = expandWords(rest, none, { escapeChar: "\\", keepUnset: true, rawQuotes: true })[0] ?? "";
  return {
    name,
    expand: countQuotes(name) === countQuotes(raw),
    chomp: match[2] === "-",
    descriptor: Number(match[1] === "" ? 0 : match[1]),
  };
}

/** The heredocs that a whole instruction line opens, in order. */
export function heredocsInLine(line: string): HeredocWord[] {
  let words: string[];
  try {
    words = expandWords(line, none, { escapeChar: "\\", keepUnset: true, rawQuotes: true, rawEscapes: true });
  } catch (error) {
    // A shell line may hold quotes that are unmatched for us and fine for the shell.
    if (error instanceof Fault) return [];
    throw error;
  }
  return words.map(parseHeredocWord).filter((heredoc) => heredoc !== undefined);
}

/** The body as the instruction sees it. */
export function heredocBody(heredoc: Heredoc): string {
  return heredoc.chomp ? heredoc.content.replace(/^\t+/gm, "") : heredoc.content;
}

function countQuotes(text: string): number {
  return text.replace(/[^'"]/g, "").length;
}
