/**
 * Pure. containerd's filters, as BuildKit's clients send them: conditions joined by commas, all of which hold.
 * A field alone asks whether it is `true`; `==` and `!=` compare, `~=` looks for a regular expression.
 * Source: containerd pkg/filters.
 */
import { Fault } from "#spec/fault.ts";

/** What a field of a record says; empty for one that is not there. */
export type FieldOf<T> = (record: T, field: string) => string;

/** One of the texts must hold; no text lets everything pass. @throws Fault `invalid`. */
export function filterBy<T>(texts: readonly string[], fieldOf: FieldOf<T>): (record: T) => boolean {
  if (texts.length === 0) return () => true;
  const groups = texts.map((text) =>
    text
      .split(",")
      .filter((each) => each !== "")
      .map((each) => condition(each, fieldOf)),
  );
  return (record) => groups.some((group) => group.every((holds) => holds(record)));
}

/** @throws Fault `invalid`. */
export function condition<T>(text: string, fieldOf: FieldOf<T>): (record: T) => boolean {
  const [, field = "", operator, raw = ""] = /^([a-zA-Z]+)(==|!=|~=)?(.*)$/s.exec(text) ?? [];
  const value = raw.startsWith('"') && raw.endsWith('"') ? raw.slice(1, -1) : raw;
  const pattern = operator === "~=" ? patternOf(value) : undefined;
  return (record) => {
    const found = fieldOf(record, field);
    if (operator === undefined) return found === "true";
    if (pattern !== undefined) return pattern.test(found);
    return operator === "==" ? found === value : found !== value;
  };
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (cause) {
    throw new Fault("invalid", `invalid filter: ${JSON.stringify(text)} is no regular expression`, { cause });
  }
}
