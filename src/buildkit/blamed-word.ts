/**
 * Pure. The word of an instruction that a message is about, so that a client can point at it.
 * Messages name it: between quotes, or behind a colon. What is not found in the lines is not pointed at.
 */
import type { LineRange } from "#build/language/lines.ts";

export interface BlamedWord {
  /** From 1, as the column is. */
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

export function blamedWord(text: string, { start, end }: LineRange, message: string): BlamedWord | undefined {
  // How a command ended is no fault of a word.
  if (/did not complete successfully/.test(message)) return undefined;
  const lines = text.split("\n").slice(start - 1, end);
  for (const word of wordsOf(message))
    for (const [index, content] of lines.entries()) {
      const at = wholeWord(content, word);
      if (at >= 0) return { line: start + index, column: at + 1, length: word.length };
    }
  return undefined;
}

function wordsOf(message: string): string[] {
  const quoted = [...message.matchAll(/'([^'\n]+)'|"((?:[^"\\\n]|\\.)+)"|: ([^\s"']\S*)/g)];
  return quoted
    .map(([, single, double, bare]) => single ?? double ?? bare ?? "")
    .flatMap((word) => {
      const variable = /^\$(\w+)$/.exec(word)?.[1];
      const path = word.startsWith("/") ? [word.slice(1)] : [];
      return [word, ...(variable === undefined ? [] : [`\${${variable}`]), ...path];
    })
    .filter((word) => word.length > 1 || /^\w$/.test(word));
}

function wholeWord(content: string, word: string): number {
  const letter = /[\w-]/;
  for (let at = content.indexOf(word); at >= 0; at = content.indexOf(word, at + 1)) {
    const [before = "", behind = ""] = [content[at - 1], content[at + word.length]];
    const inside =
      (letter.test(word[0] ?? "") && letter.test(before)) ||
      (letter.test(word.at(-1) ?? "") && letter.test(behind));
    if (!inside) return at;
  }
  return -1;
}
