/** Pure. Values of flags, read with the words pflag and docker's options use for wrong ones. */
import { Fault } from "#spec/fault.ts";
import { parseGoDuration } from "#spec/go-duration.ts";
import type { FlagSpec, Flags } from "./flags.ts";
import { parseSize } from "./units.ts";

/** `-m, --memory` for a flag with a short form. */
export function shownFlag({ name, short }: FlagSpec): string {
  return short === undefined ? `--${name}` : `-${short}, --${name}`;
}

/** Reads flags of one command by name; whatever is wrong with a value is told with the flag's own. */
export class FlagValues {
  readonly #flags: Flags;
  readonly #specs: readonly FlagSpec[];

  constructor(flags: Flags, specs: readonly FlagSpec[]) {
    this.#flags = flags;
    this.#specs = specs;
  }

  /** @throws Fault `invalid` with pflag's frame around what `parse` throws. */
  read<R>(name: string, value: string, parse: (value: string) => R): R {
    try {
      return parse(value);
    } catch (thrown) {
      throw this.refusal(name, value, Fault.from(thrown).message);
    }
  }

  refusal(name: string, value: string, reason: string): Fault {
    const spec = this.#specs.find((each) => each.name === name) ?? { name, kind: "text", help: "" };
    return new Fault(
      "invalid",
      `invalid argument ${JSON.stringify(value)} for "${shownFlag(spec)}" flag: ${reason}`,
      { detail: { usage: true } },
    );
  }

  /** Undefined when the flag was not given. */
  parsed<R>(name: string, parse: (value: string) => R): R | undefined {
    const value = this.#flags.text(name);
    return value === undefined ? undefined : this.read(name, value, parse);
  }

  each<R>(name: string, parse: (value: string) => R): R[] {
    return this.#flags.list(name).map((value) => this.read(name, value, parse));
  }

  whole(name: string): number | undefined {
    return this.parsed(name, parseWhole);
  }

  bytes(name: string): number | undefined {
    return this.parsed(name, parseSize);
  }

  /** Whole nanoseconds. */
  duration(name: string): number | undefined {
    return this.parsed(name, parseGoDuration);
  }
}

/** @throws Fault `invalid` in Go's words. */
export function parseWhole(value: string): number {
  if (!/^[+-]?\d+$/.test(value))
    throw new Fault("invalid", `strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new Fault("invalid", `strconv.ParseInt: parsing ${JSON.stringify(value)}: value out of range`);
  return number;
}

/** `KEY=VALUE` texts as a map; without a value, the empty one. */
export function keyValues(texts: readonly string[], separator = "="): Record<string, string> {
  return Object.fromEntries(
    texts.map((each) => {
      const at = each.indexOf(separator);
      return at < 0 ? [each, ""] : [each.slice(0, at), each.slice(at + separator.length)];
    }),
  );
}
