/** Pure. Flags of a command line, read as the docker CLI reads them: `-it`, `-p80:80`, `--name=x`, `--`, switches with values. */
import { Fault } from "#spec/fault.ts";

export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  /** `list` may be repeated. */
  readonly kind: "switch" | "text" | "list";
  /** What the value is called in the help: `string`, `list`, `bytes`. */
  readonly value?: string;
  readonly help: string;
  /** Taken, but not shown in the help. */
  readonly hidden?: boolean;
}

export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  on(name: string): boolean {
    return this.#values.get(name)?.at(-1) === "true";
  }

  /** The last one given. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  list(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

export interface ParsedArguments {
  readonly flags: Flags;
  readonly rest: readonly string[];
}

const truths: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

/**
 * `interspersed`: flags may come behind arguments; otherwise the first argument ends them, as behind `run IMAGE`.
 * @throws Fault `invalid` with pflag's words, `detail.usage` set.
 */
export function parseFlags(
  args: readonly string[],
  specs: readonly FlagSpec[],
  o: { readonly interspersed: boolean },
): ParsedArguments {
  const values = new Map<string, string[]>();
  const rest: string[] = [];
  const pending = [...args];
  const set = (spec: FlagSpec, value: string): void => {
    if (spec.kind === "switch" && truths[value] === undefined)
      throw wrong(
        `invalid argument ${JSON.stringify(value)} for "${shown(spec)}" flag: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
      );
    if (spec.value === "int" && !/^[+-]?\d+$/.test(value))
      throw wrong(
        `invalid argument ${JSON.stringify(value)} for "${shown(spec)}" flag: strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`,
      );
    const kept = spec.kind === "switch" ? String(truths[value]) : value;
    values.set(spec.name, [...(values.get(spec.name) ?? []), kept]);
  };
  const take = (spec: FlagSpec, given: string | undefined, flag: string): string => {
    if (given !== undefined) return given;
    if (spec.kind === "switch") return "true";
    const next = pending.shift();
    if (next === undefined)
      throw wrong(
        flag.startsWith("--")
          ? `flag needs an argument: ${flag}`
          : `flag needs an argument: '${flag.slice(1)}' in ${flag}`,
      );
    return next;
  };
  for (let arg = pending.shift(); arg !== undefined; arg = pending.shift()) {
    if (arg === "--") {
      rest.push(...pending.splice(0));
    } else if (arg.startsWith("--")) {
      const [name = "", given] = cut(arg.slice(2));
      const spec = specs.find((each) => each.name === name);
      if (spec === undefined) throw wrong(`unknown flag: --${name}`);
      set(spec, take(spec, given, `--${name}`));
    } else if (arg.startsWith("-") && arg.length > 1) readShort(arg, specs, set, take);
    else {
      rest.push(arg);
      if (!o.interspersed) rest.push(...pending.splice(0));
    }
  }
  return { flags: new Flags(values), rest };
}

function readShort(
  arg: string,
  specs: readonly FlagSpec[],
  set: (spec: FlagSpec, value: string) => void,
  take: (spec: FlagSpec, given: string | undefined, flag: string) => string,
): void {
  for (let at = 1; at < arg.length; at++) {
    const letter = arg[at] ?? "";
    const spec = specs.find(({ short }) => short === letter);
    if (spec === undefined) throw wrong(`unknown shorthand flag: '${letter}' in ${arg}`);
    const behind = arg.slice(at + 1);
    if (spec.kind === "switch" && !behind.startsWith("=")) {
      set(spec, "true");
      continue;
    }
    const given = behind === "" ? undefined : behind.replace(/^=/, "");
    set(spec, take(spec, given, arg));
    return;
  }
}

function cut(text: string): [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function shown({ name, short }: FlagSpec): string {
  return short === undefined ? `--${name}` : `-${short}, --${name}`;
}

function wrong(message: string): Fault {
  return new Fault("invalid", message, { detail: { usage: true } });
}
