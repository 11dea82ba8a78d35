/**
 * A command line typed so far, taken apart as a shell would.
 * Pure. Never: expands anything.
 */

/** The last word is the one the cursor is at; empty behind a blank. An open quote goes on to the end. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word = "";
  let begun = false;
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const letter = line[at] ?? "";
    if (quote !== "") {
      if (letter === quote) quote = "";
      else if (letter === "\\" && quote === '"' && /["\\$`]/.test(line[at + 1] ?? "")) word += line[++at];
      else word += letter;
    } else if (letter === "'" || letter === '"') {
      quote = letter;
      begun = true;
    } else if (letter === "\\") {
      word += line[++at] ?? "";
      begun = true;
    } else if (/\s/.test(letter)) {
      if (begun) words.push(word);
      [word, begun] = ["", false];
    } else {
      word += letter;
      begun = true;
    }
  }
  return [...words, word];
}
