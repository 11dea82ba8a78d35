/**
 * Pure. The build checks on a Dockerfile. Says what it can tell from the text, the arguments and what is known of base images;
 * of a base it knows nothing of it assumes that every variable is there.
 */

import type { PathFilter } from "#build/files/ignore-patterns.ts";
import type { GivenArguments } from "#build/language/build-args.ts";
import { proxyArguments } from "#build/language/build-args.ts";
import type { Dockerfile } from "#build/language/dockerfile.ts";
import { type ExpandOptions, expandWord } from "#build/language/expand.ts";
import type { Instruction, InstructionOf } from "#build/language/instruction.ts";
import type { Diagnostic, LineRange } from "#build/language/lines.ts";
import type { Stage, Stages } from "#build/language/stage-graph.ts";
import { nearest } from "#build/language/suggest.ts";
import { goQuote } from "#spec/go-quote.ts";
import { cleanPath, hasWildcards } from "#spec/go-text.ts";
import type { ImageConfig } from "#spec/image.ts";
import type { LintWarning } from "./build-questions.ts";
import { type CheckSettings, checkSettings, type RuleName, warningOf } from "./lint-rules.ts";

export interface LintInput {
  readonly dockerfile: Dockerfile;
  readonly stages: Stages;
  readonly diagnostics: readonly Diagnostic[];
  readonly buildArgs: GivenArguments;
  /** Variables that every FROM may refer to. */
  readonly platformArgs: Readonly<Record<string, string>>;
  /** The base of a stage, if it is known without fetching. */
  readonly baseOf: (name: string) => ImageConfig | undefined;
  /** What `.dockerignore` leaves out, where it is known. */
  readonly ignored: PathFilter | undefined;
  /** Of the request; the file's own `# check=` counts without it. */
  readonly settings: string | undefined;
}

export interface Linted {
  readonly warnings: readonly LintWarning[];
  /** Warnings must fail the build. */
  readonly failed: boolean;
  /** What the Dockerfile or the request has to say of rules. */
  readonly settings: CheckSettings;
}

export function lint(input: LintInput): Linted {
  const settings = checkSettings(input.settings ?? input.dockerfile.directives.get("check") ?? "");
  const linter = new Linter(input);
  linter.run();
  const warnings = linter.warnings.filter(({ rule }) => settings.wants(rule as RuleName));
  warnings.sort((left, right) => (left.lines[0]?.start ?? 0) - (right.lines[0]?.start ?? 0));
  return { warnings, failed: settings.error && warnings.length > 0, settings };
}

/** What is known of a stage's variables while it is read. */
interface StageScope {
  readonly names: Set<string>;
  readonly values: Map<string, string>;
  /** The base is not known: any variable may be there. */
  readonly open: boolean;
  /** An absolute WORKDIR was given, here or before. */
  absolute: boolean;
  shell: boolean;
}

class Linter {
  readonly warnings: LintWarning[] = [];
  readonly #input: LintInput;
  readonly #options: ExpandOptions;
  readonly #scopes = new Map<number, StageScope>();
  readonly #globals = new Map<string, string | undefined>();

  constructor(input: LintInput) {
    this.#input = input;
    this.#options = { escapeChar: input.dockerfile.escapeChar };
  }

  run(): void {
    this.#casing();
    for (const { lines, message, severity } of this.#input.diagnostics)
      if (severity === "warning" && message.startsWith("Empty continuation"))
        this.#warn("NoEmptyContinuation", lines, "Empty continuation line");
    for (const [key, value] of Object.entries(this.#input.platformArgs)) this.#globals.set(key, value);
    for (const { args, ...instruction } of this.#input.stages.globals) {
      this.#describe(instruction, args[0]?.key ?? "", "arg");
      for (const { key, value } of args) {
        const given = this.#input.buildArgs[key] ?? undefined;
        this.#secret("ARG", key, instruction.lines);
        this.#globals.set(key, given ?? (value === undefined ? undefined : this.#expandFrom(value)));
      }
    }
    for (const stage of this.#input.stages.list) this.#stage(stage);
  }

  #warn(rule: RuleName, lines: LineRange, detail: string): void {
    this.warnings.push(warningOf(rule, detail, lines));
  }

  #casing(): void {
    const { instructions } = this.#input.dockerfile;
    const lower = instructions.filter(({ keyword }) => keyword === keyword.toLowerCase()).length;
    const upper = instructions.filter(({ keyword }) => keyword === keyword.toUpperCase()).length;
    const majority = upper >= lower ? "uppercase" : "lowercase";
    for (const { keyword, lines } of instructions)
      if (keyword !== (majority === "uppercase" ? keyword.toUpperCase() : keyword.toLowerCase()))
        this.#warn(
          "ConsistentInstructionCasing",
          lines,
          `Command '${keyword}' should match the case of the command majority (${majority})`,
        );
  }

  #describe({ comments, lines }: Pick<Instruction, "comments" | "lines">, name: string, what: string): void {
    const last = comments.at(-1);
    if (last === undefined || last === "" || name === "" || last.startsWith(name)) return;
    this.#warn(
      "InvalidDefinitionDescription",
      lines,
      `Comment for ${what === "arg" ? "build argument" : "build stage"} should follow the format: \`# ${name} <description>\``,
    );
  }

  #secret(command: "ARG" | "ENV", key: string, lines: LineRange): void {
    if (isSecretName(key))
      this.#warn(
        "SecretsUsedInArgOrEnv",
        lines,
        `Do not use ARG or ENV instructions for sensitive data (${command} ${goQuote(key)})`,
      );
  }

  #expandFrom(word: string): string {
    try {
      return expandWord(word, this.#globals, this.#options);
    } catch {
      return word;
    }
  }

  #stage(stage: Stage): void {
    const { from, name } = stage;
    this.#from(stage);
    const earlier = this.#input.stages.list.slice(0, stage.index);
    const base = this.#expandFrom(from.base);
    const parent = earlier.findLast((each) => each.name !== "" && each.name === base.toLowerCase());
    const scope = this.#begin(parent, base);
    this.#scopes.set(stage.index, scope);
    if (name !== "") this.#describe(from, name, "stage");
    const seen = new Map<string, Instruction>();
    for (const step of stage.steps) {
      this.#step(step, scope);
      this.#once(step, seen);
    }
  }

  #begin(parent: Stage | undefined, base: string): StageScope {
    const above = parent === undefined ? undefined : this.#scopes.get(parent.index);
    if (above !== undefined)
      return { ...above, names: new Set(above.names), values: new Map(above.values), shell: above.shell };
    const scratch = base === "scratch";
    const config = scratch ? undefined : this.#input.baseOf(base);
    const names = (config?.config.Env ?? []).map((line) => line.split("=", 1)[0] ?? "");
    return {
      names: new Set(["PATH", ...names, ...proxyArguments]),
      values: new Map(),
      open: !scratch && config === undefined,
      absolute: false,
      shell: false,
    };
  }

  #from(stage: Stage): void {
    const { from } = stage;
    const { lines, written } = from;
    if (written.name !== "" && written.name !== written.name.toLowerCase())
      this.#warn("StageNameCasing", lines, `Stage name '${written.name}' should be lowercase`);
    const upper = from.keyword === from.keyword.toUpperCase();
    if (written.as !== "" && written.as !== (upper ? written.as.toUpperCase() : written.as.toLowerCase()))
      this.#warn(
        "FromAsCasing",
        lines,
        `'${written.as}' and '${from.keyword}' keywords' casing do not match`,
      );
    if (stage.name === "scratch" || stage.name === "context")
      this.#warn(
        "ReservedStageName",
        lines,
        `Stage name should not use the same name as reserved stage ${goQuote(stage.name)}`,
      );
    const twins = this.#input.stages.list.slice(0, stage.index).filter((each) => each.name === stage.name);
    if (stage.name !== "" && twins.length > 0)
      this.#warn(
        "DuplicateStageName",
        lines,
        `Duplicate stage name ${goQuote(written.name)}, stage names should be unique`,
      );
    this.#fromWords(from, stage.name);
  }

  #fromWords(from: InstructionOf<"from">, name: string): void {
    const { lines, platform, base } = from;
    for (const word of [base, platform])
      for (const variable of bareVariables(word)) {
        if (this.#globals.has(variable)) continue;
        const near = nearest(variable, [...this.#globals.keys()]);
        const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
        this.#warn("UndefinedArgInFrom", lines, `FROM argument '${variable}' is not declared${hint}`);
      }
    const [first] = bareVariables(base);
    if (first !== undefined && this.#globals.has(first) && this.#emptyByDefault(base))
      this.#warn(
        "InvalidDefaultArgInFrom",
        lines,
        `Default value for ARG ${base} results in empty or invalid base image name`,
      );
    if (platform === "") return;
    if (/^\$\{?TARGETPLATFORM\}?$/.test(platform))
      this.#warn(
        "RedundantTargetPlatform",
        lines,
        `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`,
      );
    const architecture = platform.split("/")[1] ?? platform;
    if (!platform.includes("$") && !name.includes(architecture.toLowerCase()))
      this.#warn(
        "FromPlatformFlagConstDisallowed",
        lines,
        `FROM --platform flag should not use constant value ${goQuote(platform)}`,
      );
  }

  /** True when the name is empty or no name without what the request gave. */
  #emptyByDefault(base: string): boolean {
    const defaults = new Map<string, string>(Object.entries(this.#input.platformArgs));
    for (const { args } of this.#input.stages.globals)
      for (const { key, value } of args)
        if (value !== undefined) defaults.set(key, safely(value, defaults, this.#options));
    const name = safely(base, defaults, this.#options);
    return name === "" || /^[:@/]|[:@/]$|:@/.test(name);
  }

  #step(step: Instruction, scope: StageScope): void {
    switch (step.kind) {
      case "maintainer":
        this.#warn(
          "MaintainerDeprecated",
          step.lines,
          "Maintainer instruction is deprecated in favor of using label",
        );
        break;
      case "shell":
        scope.shell = true;
        break;
      case "cmd":
      case "entrypoint":
        if (step.command.form === "shell" && step.command.args.length > 0 && !scope.shell)
          this.#warn(
            "JSONArgsRecommended",
            step.lines,
            `JSON arguments recommended for ${step.kind.toUpperCase()} to prevent unintended behavior related to OS signals`,
          );
        break;
      case "arg":
        this.#arg(step, scope);
        break;
      case "env":
      case "label":
        this.#pairs(step, scope);
        break;
      case "workdir":
        this.#workdir(step, scope);
        break;
      case "expose":
        this.#expose(step, scope);
        break;
      case "copy":
      case "add":
        this.#transfer(step, scope);
        break;
      case "user":
        this.#undefined([step.user], step.lines, scope);
        break;
      case "volume":
        this.#undefined(step.paths, step.lines, scope);
        break;
      case "stopsignal":
        this.#undefined([step.signal], step.lines, scope);
        break;
      default:
    }
  }

  #undefined(words: readonly string[], lines: LineRange, scope: StageScope): void {
    if (scope.open) return;
    for (const word of words)
      for (const variable of bareVariables(word)) {
        if (scope.names.has(variable)) continue;
        const near = nearest(
          variable,
          [...scope.names].filter((name) => !proxyArguments.includes(name)),
        );
        const hint = near === undefined ? "" : ` (did you mean $${near}?)`;
        this.#warn("UndefinedVar", lines, `Usage of undefined variable '$${variable}'${hint}`);
      }
  }

  #arg(step: InstructionOf<"arg">, scope: StageScope): void {
    this.#describe(step, step.args[0]?.key ?? "", "arg");
    for (const { key, value } of step.args) {
      this.#secret("ARG", key, step.lines);
      if (value !== undefined) this.#undefined([value], step.lines, scope);
      scope.names.add(key);
      const meaning = this.#input.buildArgs[key] ?? value ?? this.#globals.get(key);
      if (meaning !== undefined) scope.values.set(key, meaning);
    }
  }

  #pairs(step: InstructionOf<"env" | "label">, scope: StageScope): void {
    const command = step.kind === "env" ? "ENV" : "LABEL";
    if (step.kind === "env") for (const { key } of step.pairs) this.#secret("ENV", key, step.lines);
    this.#undefined(
      step.pairs.flatMap(({ key, value }) => (step.kind === "env" ? [value] : [key, value])),
      step.lines,
      scope,
    );
    const rest = step.source.slice(step.keyword.length).trimStart();
    if (!(/^\S*/.exec(rest)?.[0] ?? "").includes("=") && !/^["']/.test(rest))
      this.#warn(
        "LegacyKeyValueFormat",
        step.lines,
        `"${command} key=value" should be used instead of legacy "${command} key value" format`,
      );
    if (step.kind === "env") for (const { key } of step.pairs) scope.names.add(key);
  }

  #workdir(step: InstructionOf<"workdir">, scope: StageScope): void {
    this.#undefined([step.path], step.lines, scope);
    const path = safely(step.path, scope.values, this.#options);
    if (path.startsWith("/") || step.path.startsWith("$")) scope.absolute = true;
    else if (!scope.absolute)
      this.#warn(
        "WorkdirRelativePath",
        step.lines,
        `Relative workdir ${goQuote(step.path)} can have unexpected results if the base image changes`,
      );
  }

  #expose(step: InstructionOf<"expose">, scope: StageScope): void {
    this.#undefined(step.ports, step.lines, scope);
    for (const port of step.ports) {
      const protocol = port.split("/")[1] ?? "";
      if (protocol !== protocol.toLowerCase())
        this.#warn(
          "ExposeProtoCasing",
          step.lines,
          `Defined protocol '${port}' in EXPOSE instruction should be lowercase`,
        );
      if (port.replace(/\$\{[^}]*\}/g, "").includes(":"))
        this.#warn(
          "ExposeInvalidFormat",
          step.lines,
          `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
        );
    }
  }

  #transfer(step: InstructionOf<"copy" | "add">, scope: StageScope): void {
    const { transfer } = step;
    this.#undefined([...transfer.sources, transfer.destination, transfer.chown], step.lines, scope);
    const { ignored } = this.#input;
    if (transfer.from !== "" || ignored === undefined) return;
    for (const source of transfer.sources) {
      const path = cleanPath(`/${source}`).slice(1);
      if (path === "" || hasWildcards(path) || /^[a-z]+:\/\//i.test(source) || source.includes("$")) continue;
      if (!ignored.skips(path) || ignored.exceptions) continue;
      this.#warn(
        "CopyIgnoredFile",
        step.lines,
        `Attempting to ${step.kind === "copy" ? "Copy" : "Add"} file ${goQuote(source)} that is excluded by .dockerignore`,
      );
    }
  }

  /** All but the last of what counts once. */
  #once(step: Instruction, seen: Map<string, Instruction>): void {
    if (step.kind !== "cmd" && step.kind !== "entrypoint" && step.kind !== "healthcheck") return;
    const before = seen.get(step.kind);
    seen.set(step.kind, step);
    if (before === undefined) return;
    this.#warn(
      "MultipleInstructionsDisallowed",
      before.lines,
      `Multiple ${step.kind.toUpperCase()} instructions should not be used in the same stage because only the last one will be used`,
    );
  }
}

const secretWords = [
  "apikey",
  "auth",
  "credential",
  "credentials",
  "key",
  "password",
  "pword",
  "passwd",
  "secret",
  "token",
];
const harmlessWords = ["public", "file", "version"];

function isSecretName(name: string): boolean {
  const words = name.toLowerCase().split("_");
  return (
    words.some((word) => secretWords.includes(word)) && !words.some((word) => harmlessWords.includes(word))
  );
}

/** Names that a word refers to without saying what stands in for them. */
function bareVariables(word: string): string[] {
  const text = word.replace(/\\\$/g, "").replace(/'[^']*'/g, "");
  return [...text.matchAll(/\$(?:\{([A-Za-z_]\w*)(?:\}|[#%/])|([A-Za-z_]\w*))/g)].map(
    ([, braced, bare]) => braced ?? bare ?? "",
  );
}

function safely(word: string, values: ReadonlyMap<string, string>, options: ExpandOptions): string {
  try {
    return expandWord(word, values, options);
  } catch {
    return word;
  }
}
