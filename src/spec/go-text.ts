/**
 * Pure. How Go matches and cleans the paths and names that Docker lets users write: `filepath.Match`, `filepath.Clean`.
 */

/** Go's `filepath.Clean`: the shortest equal path, `.` for nothing, no trailing slash. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith("/");
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!rooted) kept.push("..");
  }
  const joined = kept.join("/");
  if (rooted) return `/${joined}`;
  return joined === "" ? "." : joined;
}

/** True when `*`, `?` or `[` stands unescaped in the path. */
export function hasWildcards(path: string): boolean {
  return /[*?[]/.test(path.replace(/\\./gs, ""));
}

/** Go's `filepath.Match` as a test; a pattern with bad syntax matches nothing. `*` and `?` do not cross `/`. */
export function pathMatcher(pattern: string): (path: string) => boolean {
  const source = globSource(pattern);
  if (source === undefined) return () => false;
  const expression = new RegExp(`^${source}$`, "su");
  return (path) => expression.test(path);
}

/** The same, where `**` crosses `/`, and with the slash behind it also stands for nothing. */
export function deepMatcher(pattern: string): (path: string) => boolean {
  const parts = pattern.split("**").map(globSource);
  if (parts.includes(undefined)) return () => false;
  const source = parts.reduce((whole = "", part = "") =>
    part.startsWith("\\/") ? `${whole}(?:.*\\/)?${part.slice(2)}` : `${whole}.*${part}`,
  );
  const expression = new RegExp(`^${source}$`, "su");
  return (path) => expression.test(path);
}

/** Whether `filepath.Match` would take the pattern. */
export function isPattern(pattern: string): boolean {
  return globSource(pattern) !== undefined;
}

function globSource(pattern: string): string | undefined {
  let source = "";
  const chars = [...pattern];
  for (let index = 0; index < chars.length; index++) {
    const char = chars[index] ?? "";
    if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "[") {
      const set = bracketSet(chars, index + 1);
      if (set === undefined) return undefined;
      source += set.source;
      index = set.end;
    } else if (char === "\\") {
      const escaped = chars[++index];
      if (escaped === undefined) return undefined;
      source += literal(escaped);
    } else source += literal(char);
  }
  return source;
}

/** `[a-z]` or `[^a-z]` from behind the bracket: its expression and the index of `]`; undefined for bad syntax. */
function bracketSet(chars: readonly string[], from: number): { source: string; end: number } | undefined {
  let index = from;
  const negated = chars[index] === "^";
  if (negated) index++;
  const one = (): string | undefined => {
    const char = chars[index++];
    if (char === "-" || char === "]") return undefined;
    return char === "\\" ? chars[index++] : char;
  };
  let ranges = "";
  for (let count = 0; count === 0 || chars[index] !== "]"; count++) {
    const low = one();
    let high = low;
    if (chars[index] === "-") {
      index++;
      high = one();
    }
    if (low === undefined || high === undefined || index >= chars.length) return undefined;
    // A range that runs backwards is allowed and holds nothing.
    if (low <= high) ranges += `${inSet(low)}-${inSet(high)}`;
  }
  return { source: `[${negated ? "^" : ""}${ranges}]`, end: index };
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/u, "\\$&");
}

function inSet(char: string): string {
  return char.replace(/[\\^\]-]/u, "\\$&");
}
