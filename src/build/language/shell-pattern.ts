/**
 * Pure. The shell patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` is any text, `?` one character, `\` escapes; no `[]`.
 */

/**
 * `value` without the part at its start or end that `pattern` matches: the shortest, or the longest when `greedy`.
 * @throws SyntaxError for an escape of anything but `*`, `?`, `\`, `}`, `/`.
 */
export function trimPattern(
  value: string,
  pattern: string,
  options: { readonly greedy: boolean; readonly from: "start" | "end" },
): string {
  if (options.from === "start") {
    const match = regex(pattern, options.greedy, "^", "").exec(value);
    return match === null ? value : value.slice(match[0].length);
  }
  // A regular expression finds the leftmost match, so for the shortest suffix every start is tried from the right.
  const anchored = regex(pattern, true, "^", "$");
  const starts = Array.from({ length: value.length + 1 }, (_, index) =>
    options.greedy ? index : value.length - index,
  );
  const start = starts.find((index) => anchored.test(value.slice(index)));
  return start === undefined ? value : value.slice(0, start);
}

/** `value` with the first, or every, longest match of `pattern` replaced. @throws SyntaxError as `trimPattern`. */
export function replacePattern(value: string, pattern: string, replacement: string, all: boolean): string {
  return value.replace(regex(pattern, true, "", "", all ? "gsu" : "su"), () => replacement);
}

function regex(pattern: string, greedy: boolean, before: string, after: string, flags = "su"): RegExp {
  let source = before;
  const chars = [...pattern];
  for (let index = 0; index < chars.length; index++) {
    let char = chars[index] ?? "";
    if (char === "*") source += greedy ? ".*" : ".*?";
    else if (char === "?") source += ".";
    else {
      if (char === "\\") {
        char = chars[++index] ?? "";
        if (!"*?\\}/".includes(char) || char === "") throw new SyntaxError(`invalid escape '\\${char}'`);
      }
      source += char.replace(/[\\^$.*+?()[\]{}|/]/u, "\\$&");
    }
  }
  return new RegExp(source + after, flags);
}
