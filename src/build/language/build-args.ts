/** Pure. Which `ARG`s are in scope, and with what values. */
import type { Environment } from "./expand.ts";
import { GrowingMap } from "./growing-map.ts";

/** Arguments that need no ARG and leave no trace in the image or in cache keys. */
export const proxyArguments: readonly string[] = [
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "FTP_PROXY",
  "NO_PROXY",
  "ALL_PROXY",
].flatMap((name) => [name, name.toLowerCase()]);

const none: ReadonlySet<string> = new Set();

/** What the request gave: `null` for a name without a value. */
export type GivenArguments = Readonly<Record<string, string | null>>;

/** Declarations, with defaults where one was written. */
type Declared = GrowingMap<string | undefined>;

/** Immutable: every declaration makes a new scope, so that a step can be decided again from the same state. */
export class ArgumentScope {
  readonly #given: GivenArguments;
  readonly #global: Declared;
  readonly #declared: Declared;
  /** Declared in a stage that this one stands on. */
  readonly #inherited: ReadonlySet<string>;
  /** Those that hide an ENV of their name, which stands before them. */
  readonly #above: ReadonlySet<string>;

  private constructor(
    given: GivenArguments,
    global: Declared,
    declared: Declared,
    inherited: ReadonlySet<string> = none,
    above: ReadonlySet<string> = none,
  ) {
    this.#given = given;
    this.#global = global;
    this.#declared = declared;
    this.#inherited = inherited;
    this.#above = above;
  }

  static from(given: GivenArguments): ArgumentScope {
    return new ArgumentScope(given, GrowingMap.of([]), GrowingMap.of([]));
  }

  /** An ARG before the first FROM: seen by later ones of its kind and by FROM; a stage sees it by declaring it again. */
  declareGlobal(key: string, fallback: string | undefined): ArgumentScope {
    const global = this.#global.with(key, fallback);
    return new ArgumentScope(this.#given, global, this.#declared);
  }

  /** The scope at the start of a stage: globals are known by name only. */
  stage(): ArgumentScope {
    return new ArgumentScope(this.#given, this.#global, GrowingMap.of([]));
  }

  /** An ARG inside a stage. */
  declare(key: string, fallback: string | undefined): ArgumentScope {
    const inherited = this.#inherited.has(key)
      ? new Set([...this.#inherited].filter((name) => name !== key))
      : this.#inherited;
    const declared = this.#declared.with(key, fallback);
    return new ArgumentScope(this.#given, this.#global, declared, inherited, this.#above);
  }

  /** BuildKit's: one with a value hides an ENV before it. */
  declareAbove(key: string, fallback: string | undefined): ArgumentScope {
    const scope = this.declare(key, fallback);
    if (scope.get(key) === undefined) return scope;
    return scope.#withAbove(new Set([...this.#above, key]));
  }

  /** Behind an ENV of these names, which hides them. */
  behind(keys: readonly string[]): ArgumentScope {
    if (!keys.some((key) => this.#above.has(key))) return this;
    return this.#withAbove(new Set([...this.#above].filter((name) => !keys.includes(name))));
  }

  /** True for one that hides an ENV. */
  isAbove(key: string): boolean {
    return this.#above.has(key);
  }

  #withAbove(above: ReadonlySet<string>): ArgumentScope {
    return new ArgumentScope(this.#given, this.#global, this.#declared, this.#inherited, above);
  }

  /** What FROM, and ARG before it, may refer to. */
  globals(): Environment {
    return { get: (name) => this.#known(name, this.#global) };
  }

  /** What a name means in the stage, if it is in scope. */
  get(name: string): string | undefined {
    return this.#known(name, this.#declared);
  }

  /** What is in scope in the stage and not hidden by one of `environment`'s names; sorted by name. */
  inScope(environment: ReadonlyMap<string, string>): Map<string, string> {
    const values = this.#values(this.#declared);
    for (const name of environment.keys()) if (!this.#above.has(name)) values.delete(name);
    return values;
  }

  /** The scope of a stage that stands on this one: what was declared is known, and not of that stage's own. */
  derive(): ArgumentScope {
    const inherited = new Set(this.#declared.keys());
    return new ArgumentScope(this.#given, this.#global, this.#declared, inherited, this.#above);
  }

  /** What ARGs of the stage itself named, in the order of the first naming. */
  declaredNames(): string[] {
    return this.#declared.keys().filter((name) => !this.#inherited.has(name));
  }

  /** False for a proxy argument that no ARG names: it must not show in the image. */
  isVisible(key: string): boolean {
    return this.#declared.has(key) || !proxyArguments.includes(key);
  }

  #known(name: string, declared: Declared): string | undefined {
    return declared.has(name) || proxyArguments.includes(name) ? this.#value(name, declared) : undefined;
  }

  #values(declared: Declared): Map<string, string> {
    const values = new Map<string, string>();
    for (const key of [...new Set([...declared.keys(), ...proxyArguments])].sort()) {
      const value = this.#value(key, declared);
      if (value !== undefined) values.set(key, value);
    }
    return values;
  }

  #value(key: string, declared: Declared): string | undefined {
    const given = Object.hasOwn(this.#given, key) ? this.#given[key] : undefined;
    return given ?? declared.get(key) ?? this.#global.get(key);
  }
}

/** Names that were given and that no ARG asked for, sorted. */
export function unusedArguments(given: GivenArguments, asked: ReadonlySet<string>): string[] {
  return Object.keys(given)
    .filter((name) => !asked.has(name) && !proxyArguments.includes(name))
    .sort();
}
