/** Pure. The `--flag` part of an instruction, checked against what the instruction knows. */
import { Fault } from "#spec/fault.ts";
import { suggestion } from "./suggest.ts";

export type FlagType = "text" | "list" | "switch";

export interface Flags {
  /** Names that were given, in order, each once. */
  readonly used: readonly string[];
  /** The value given, or the empty string; `true` or `false` for a switch. */
  text(name: string): string;
  /** All values given, in order. */
  list(name: string): readonly string[];
}

/** @throws Fault `invalid` in Docker's words for a flag that is unknown, repeated or lacks its value. */
export function readFlags(words: readonly string[], known: Readonly<Record<string, FlagType>>): Flags {
  const values = new Map<string, string>();
  const lists = new Map<string, string[]>();
  for (const word of words) {
    const equals = word.indexOf("=");
    const dashed = equals < 0 ? word : word.slice(0, equals);
    const name = dashed.slice(2);
    const type = Object.hasOwn(known, name) ? known[name] : undefined;
    if (type === undefined)
      throw new Fault("invalid", `unknown flag: ${dashed}${suggestion(name, Object.keys(known))}`);
    if (values.has(name) && type !== "list")
      throw new Fault("invalid", `duplicate flag specified: ${dashed}`);
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    if (type === "switch") values.set(name, switchValue(dashed, value));
    else if (value === undefined) throw new Fault("invalid", `missing a value on flag: ${dashed}`);
    else {
      values.set(name, value);
      lists.set(name, [...(lists.get(name) ?? []), value]);
    }
  }
  return {
    used: [...values.keys()],
    text: (name) => values.get(name) ?? "",
    list: (name) => lists.get(name) ?? [],
  };
}

function switchValue(dashed: string, value: string | undefined): string {
  if (value === "") throw new Fault("invalid", `missing a value on flag: ${dashed}`);
  const lower = (value ?? "true").toLowerCase();
  if (lower !== "true" && lower !== "false")
    throw new Fault("invalid", `expecting boolean value for flag ${dashed}, not: ${value}`);
  return lower;
}
