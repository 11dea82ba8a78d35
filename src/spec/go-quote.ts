/** Pure. How Go's `%q` prints what users see in messages. */

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
