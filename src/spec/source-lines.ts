/** Pure. Lines of a file around a place, as BuildKit's clients print them, with a caret below a word where one is to blame. */

/** Lines and characters from 1; a character of 0 stands for the whole line. */
export interface SourceRange {
  readonly start: { readonly line: number; readonly character?: number | undefined };
  readonly end: { readonly line: number; readonly character?: number | undefined };
}

const around = 2;
const rule = `${"-".repeat(20)}\n`;

/** Empty without a range. */
export function sourceLines(filename: string, text: string, ranges: readonly SourceRange[]): string {
  if (ranges.length === 0) return "";
  const marked = (line: number) => ranges.some(({ start, end }) => line >= start.line && line <= end.line);
  const from = Math.min(...ranges.map(({ start }) => start.line));
  const to = Math.max(...ranges.map(({ end }) => end.line));
  const shown = text
    .split("\n")
    .map((content, index) => ({ content, line: index + 1 }))
    .slice(Math.max(0, from - 1 - around), to + around)
    .flatMap(({ content, line }) => [
      ` ${String(line).padStart(3)} | ${marked(line) ? ">>>" : "   "} ${content}\n`,
      ...ranges.flatMap((range) => carets(range, line, content)),
    ]);
  return `${filename}:${placeOf(ranges, from)}\n${rule}${shown.join("")}${rule}`;
}

function placeOf(ranges: readonly SourceRange[], from: number): string {
  const point = ranges.find(({ start }) => (start.character ?? 0) > 0)?.start;
  return point === undefined ? String(from) : `${point.line}:${point.character}`;
}

/** Below the word; tabs before it stay tabs, so that it is below wherever they lead. */
function carets({ start, end }: SourceRange, line: number, content: string): string[] {
  const [first = 0, behind = 0] = [start.character, end.character];
  if (start.line !== line || first <= 0 || behind <= first) return [];
  const before = content.slice(0, first - 1).replace(/[^\t]/g, " ");
  return [`     |     ${before}${"^".repeat(behind - first)}\n`];
}
