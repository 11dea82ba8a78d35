/** Pure. Places in a Dockerfile, in the shapes that BuildKit's clients show lines by. */
import type { LineRange } from "#build/lines.ts";
import type { SourceFile } from "#build/progress.ts";

export function rangeOf({ start, end }: LineRange) {
  return { start: { line: start }, end: { line: end } };
}

/** Of those that are lines of the text: a place before its first line is none. */
export function rangesOf(lines: readonly LineRange[]) {
  return lines.filter(({ start }) => start > 0).map(rangeOf);
}

export function sourceInfo({ filename, text }: SourceFile) {
  return { filename, data: Buffer.from(text), language: "Dockerfile" };
}

/** The same in JSON. */
export function sourceJson(source: SourceFile) {
  const info = sourceInfo(source);
  return { ...info, data: info.data.toString("base64") };
}
