/** Pure. `.dockerignore`: its lines, and what they leave out. */
import ignore from "@balena/dockerignore";
import { Fault } from "#spec/fault.ts";
import { cleanPath } from "#spec/go-text.ts";

/** Lines that mean something, in their shortest form, without the leading slash. */
export function ignoreLines(text: string): string[] {
  return text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => {
      const negated = line.startsWith("!");
      const pattern = cleanPath(negated ? line.slice(1).trim() : line).replace(/^\/(?=.)/, "");
      return negated ? `!${pattern}` : pattern;
    });
}

/** What is left out of a tree. */
export interface PathFilter {
  /** True for a path, from the tree's top, that is left out. */
  skips(path: string): boolean;
  /** Something below a directory that is left out may be wanted after all. */
  readonly exceptions: boolean;
}

export interface IgnoredFiles extends PathFilter {
  /** All of the context's top is left out by one line. */
  readonly everything: boolean;
}

/**
 * The last line that matches a path, or a directory above it, decides.
 * @throws Fault `invalid` naming `where` for a pattern that cannot be read, at once or when asked.
 */
export function ignoreFilter(lines: readonly string[], where: string): PathFilter {
  const matcher = ignore({ ignorecase: false });
  const readable = <T>(read: () => T): T => {
    try {
      return read();
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause;
      throw new Fault("invalid", `${where} holds a pattern that cannot be read: ${cause.message}`, { cause });
    }
  };
  // Characters that are special to expressions but not to patterns.
  readable(() => matcher.add(lines.map((line) => line.replace(/(?<!\\)[+(){}|]/g, "\\$&"))));
  return {
    skips: (path) => readable(() => matcher.ignores(path)),
    exceptions: lines.some((line) => line.startsWith("!")),
  };
}

/** Left out by one or the other. */
export function eitherFilter(
  first: PathFilter | undefined,
  second: PathFilter | undefined,
): PathFilter | undefined {
  if (first === undefined) return second;
  if (second === undefined) return first;
  return {
    skips: (path) => first.skips(path) || second.skips(path),
    exceptions: first.exceptions || second.exceptions,
  };
}

/** The filter as it is for what lies in a directory of the tree. */
export function filterBelow(filter: PathFilter | undefined, directory: string): PathFilter | undefined {
  if (filter === undefined || directory === "") return filter;
  return { ...filter, skips: (path) => filter.skips(`${directory}/${path}`) };
}
