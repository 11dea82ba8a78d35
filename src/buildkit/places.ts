/** Pure. Places in a Dockerfile, in the shapes that BuildKit's clients show lines by. */
import type { LineRange } from "#build/language/lines.ts";
import type { SourceFile } from "#build/request/progress.ts";
import type { SourceRange } from "#spec/source-lines.ts";
import { blamedWord } from "./blamed-word.ts";

export function rangeOf({ start, end }: LineRange) {
  return { start: { line: start }, end: { line: end } };
}

/** Of those that are lines of the text: a place before its first line is none. */
export function rangesOf(lines: readonly LineRange[]) {
  return lines.filter(({ start }) => start > 0).map(rangeOf);
}

/** The same, and behind them the word that the message is about, with its columns. */
export function placesOf(lines: readonly LineRange[], { text }: SourceFile, message: string): SourceRange[] {
  const [only, ...more] = lines.filter(({ start }) => start > 0);
  const word = only === undefined || more.length > 0 ? undefined : blamedWord(text, only, message);
  if (word === undefined) return rangesOf(lines);
  const { line, column, length } = word;
  const range = { start: { line, character: column }, end: { line, character: column + length } };
  return [...rangesOf(lines), range];
}

export function sourceInfo({ filename, text }: SourceFile) {
  return { filename, data: Buffer.from(text), language: "Dockerfile" };
}

/** The same in JSON. */
export function sourceJson(source: SourceFile) {
  const info = sourceInfo(source);
  return { ...info, data: info.data.toString("base64") };
}
