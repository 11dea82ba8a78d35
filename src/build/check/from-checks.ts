/** Pure. Checks of FROM, of every stage: its variables, its base's name, its platform. */
import type { GivenArguments } from "#build/language/build-args.ts";
import type { Dockerfile } from "#build/language/dockerfile.ts";
import type { ExpandOptions } from "#build/language/expand.ts";
import type { InstructionOf } from "#build/language/instruction.ts";
import type { Stage, Stages } from "#build/language/stage-graph.ts";
import { nearest } from "#build/language/suggest.ts";
import { isFault } from "#spec/fault.ts";
import { goQuote } from "#spec/go-quote.ts";
import { parsePlatform } from "#spec/platform.ts";
import type { Findings } from "./findings.ts";
import { bareVariables, safely } from "./lint-words.ts";

interface Given {
  readonly dockerfile: Dockerfile;
  readonly stages: Stages;
  readonly buildArgs: GivenArguments;
  readonly platformArgs: Readonly<Record<string, string>>;
}

export class FromChecks {
  readonly #findings: Findings;
  readonly #options: ExpandOptions;
  /** What FROM may refer to; undefined for one without a value. */
  readonly #globals: Map<string, string | undefined>;
  /** The same as if the request had given nothing. */
  readonly #defaults: Map<string, string | undefined>;

  constructor({ dockerfile, stages, buildArgs, platformArgs }: Given, findings: Findings) {
    this.#findings = findings;
    this.#options = { escapeChar: dockerfile.escapeChar };
    this.#globals = new Map(Object.entries(platformArgs));
    this.#defaults = new Map(Object.entries(platformArgs));
    for (const { key, value } of stages.globals.flatMap(({ args }) => args)) {
      const meaning = (known: Map<string, string | undefined>) =>
        value === undefined ? undefined : safely(value, known, this.#options);
      this.#globals.set(key, buildArgs[key] ?? meaning(this.#globals));
      this.#defaults.set(key, meaning(this.#defaults));
    }
  }

  /** What stands for the base in the end. */
  baseName({ from }: Stage): string {
    return safely(from.base, this.#globals, this.#options);
  }

  check({ from, name }: Stage): void {
    for (const word of [from.base, from.platform])
      for (const variable of bareVariables(word)) this.#variable(variable, from);
    if (from.base.includes("$") && !isName(safely(from.base, this.#defaults, this.#options)))
      this.#findings.add(
        "InvalidDefaultArgInFrom",
        from.lines,
        `Default value for ARG ${from.base} results in empty or invalid base image name`,
      );
    if (from.platform !== "") this.#platform(from, name);
  }

  #variable(variable: string, from: InstructionOf<"from">): void {
    if (this.#globals.has(variable)) return;
    const near = nearest(variable, [...this.#globals.keys()]);
    const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
    this.#findings.of(from, "UndefinedArgInFrom", `FROM argument '${variable}' is not declared${hint}`);
  }

  #platform(from: InstructionOf<"from">, name: string): void {
    const { platform } = from;
    if (/^\$\{?TARGETPLATFORM\}?$/.test(platform))
      this.#findings.of(
        from,
        "RedundantTargetPlatform",
        `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`,
      );
    if (platform.includes("$")) return;
    // A stage that is named for it is meant for it.
    const parsed = platformParts(platform);
    if (parsed === undefined || parsed.some((part) => name.includes(part))) return;
    this.#findings.of(
      from,
      "FromPlatformFlagConstDisallowed",
      `FROM --platform flag should not use constant value ${goQuote(platform)}`,
    );
  }
}

function platformParts(text: string): string[] | undefined {
  try {
    const { os, architecture } = parsePlatform(text);
    return [os, architecture];
  } catch (error) {
    if (!isFault(error, "invalid")) throw error;
    return undefined;
  }
}

function isName(text: string): boolean {
  return text !== "" && !/^[:@/]|[:@/]$|:@/.test(text);
}
