/**
 * Pure. `--filter` of `builder history ls`, as BuildKit wants it.
 * Source: docker/buildx commands/history/utils.go.
 */
import { Fault } from "#spec/fault.ts";

/** One text of all of them, or none. @throws Fault `invalid` in buildx's words. */
export function historyFilters(texts: readonly string[]): string[] {
  if (texts.length === 0) return [];
  return [texts.map(converted).map(quoted).join(",")];
}

function converted(text: string): string {
  const [, key, found, value] = /^([^=<>!]*)(!=|<=|>=|=|<|>)(.*)$/s.exec(text) ?? [];
  if (key === undefined) throw new Fault("invalid", `invalid filter ${JSON.stringify(text)}`);
  switch (key) {
    case "ref":
    case "repository":
    case "status":
      if (found !== "=" && found !== "!=")
        throw new Fault("invalid", `invalid separator for ${JSON.stringify(text)}, expected = or !=`);
      return `${key}${found === "!=" ? "!=" : key === "status" ? "==" : "~="}${value}`;
    case "startedAt":
    case "completedAt":
    case "duration":
      if (found === "=" || found === "!=")
        throw new Fault("invalid", `invalid separator for ${JSON.stringify(text)}, expected <=, <, >= or >`);
      return text;
    default:
      throw new Fault("invalid", `unsupported filter ${JSON.stringify(text)}`);
  }
}

/** As a field of CSV. */
function quoted(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
