/** Pure. Checks of what the stages of a build do: variables, commands, directories, ports, files that are left out. */
import type { IgnoredFiles } from "#build/files/ignore-patterns.ts";
import { type GivenArguments, proxyArguments } from "#build/language/build-args.ts";
import type { Dockerfile } from "#build/language/dockerfile.ts";
import type { ExpandOptions } from "#build/language/expand.ts";
import type { Instruction, InstructionOf } from "#build/language/instruction.ts";
import type { Stage, Stages } from "#build/language/stage-graph.ts";
import { nearest } from "#build/language/suggest.ts";
import { goQuote } from "#spec/go-quote.ts";
import { cleanPath } from "#spec/go-text.ts";
import type { ImageConfig } from "#spec/image.ts";
import type { Findings } from "./findings.ts";
import { bareVariables, isSecretName, safely } from "./lint-words.ts";

interface Given {
  readonly dockerfile: Dockerfile;
  readonly stages: Stages;
  readonly buildArgs: GivenArguments;
  readonly baseOf: (name: string) => ImageConfig | undefined;
  readonly ignored: IgnoredFiles | undefined;
}

/** What is known of a stage while it is read. */
interface Scope {
  readonly names: Set<string>;
  readonly values: Map<string, string>;
  /** The base is not known: any variable may be there. */
  readonly open: boolean;
  /** A WORKDIR was given, here or in a stage before. */
  placed: boolean;
  /** SHELL was given, here or by the base. */
  shell: boolean;
}

export class StageChecks {
  readonly #given: Given;
  readonly #findings: Findings;
  readonly #baseName: (stage: Stage) => string;
  readonly #options: ExpandOptions;
  readonly #scopes = new Map<number, Scope>();

  constructor(given: Given, findings: Findings, baseName: (stage: Stage) => string) {
    this.#given = given;
    this.#findings = findings;
    this.#baseName = baseName;
    this.#options = { escapeChar: given.dockerfile.escapeChar };
  }

  /** One after another, in the order of the file. */
  check(stage: Stage): void {
    const base = this.#baseName(stage);
    const earlier = this.#given.stages.list.slice(0, stage.index);
    const parent = earlier.findLast(({ name }) => name !== "" && name === base.toLowerCase());
    const scope = this.#begin(parent, base);
    this.#scopes.set(stage.index, scope);
    const seen = new Map<string, Instruction>();
    for (const step of stage.steps) {
      this.#undefined(wordsOf(step), step, scope);
      this.#step(step, scope);
      this.#once(step, seen);
    }
  }

  #begin(parent: Stage | undefined, base: string): Scope {
    const above = parent === undefined ? undefined : this.#scopes.get(parent.index);
    if (above !== undefined) return { ...above, names: new Set(above.names), values: new Map(above.values) };
    const scratch = base === "scratch";
    const config = scratch ? undefined : this.#given.baseOf(base);
    const names = (config?.config.Env ?? []).map((line) => line.split("=", 1)[0] ?? "");
    return {
      names: new Set(["PATH", ...names, ...proxyArguments]),
      values: new Map(),
      open: !scratch && config === undefined,
      placed: false,
      shell: (config?.config.Shell ?? []).length > 0,
    };
  }

  #step(step: Instruction, scope: Scope): void {
    switch (step.kind) {
      case "shell":
        scope.shell = true;
        break;
      case "cmd":
      case "entrypoint":
        if (step.command.form === "shell" && !scope.shell)
          this.#findings.of(
            step,
            "JSONArgsRecommended",
            `JSON arguments recommended for ${step.keyword} to prevent unintended behavior related to OS signals`,
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
        this.#expose(step);
        break;
      case "copy":
      case "add":
        this.#transfer(step);
        break;
      default:
    }
  }

  #undefined(words: readonly string[], step: Instruction, scope: Scope): void {
    if (scope.open) return;
    for (const variable of new Set(words.flatMap(bareVariables))) {
      if (scope.names.has(variable)) continue;
      const known = [...scope.names].filter((name) => !proxyArguments.includes(name));
      const near = nearest(variable, known);
      const hint = near === undefined ? "" : ` (did you mean $${near}?)`;
      this.#findings.of(step, "UndefinedVar", `Usage of undefined variable '$${variable}'${hint}`);
    }
  }

  #secret(command: "ARG" | "ENV", key: string, step: Instruction): void {
    if (!isSecretName(key)) return;
    this.#findings.of(
      step,
      "SecretsUsedInArgOrEnv",
      `Do not use ARG or ENV instructions for sensitive data (${command} ${goQuote(key)})`,
    );
  }

  #arg(step: InstructionOf<"arg">, scope: Scope): void {
    const { buildArgs, stages } = this.#given;
    for (const { key, value } of step.args) {
      this.#secret("ARG", key, step);
      scope.names.add(key);
      const global = stages.globals.flatMap(({ args }) => args).findLast((each) => each.key === key);
      const meaning = buildArgs[key] ?? value ?? global?.value;
      if (meaning !== undefined) scope.values.set(key, meaning);
    }
  }

  #pairs(step: InstructionOf<"env" | "label">, scope: Scope): void {
    if (step.kind === "env") for (const { key } of step.pairs) this.#secret("ENV", key, step);
    const rest = step.source.slice(step.keyword.length).trimStart();
    const [first = ""] = /^(?:"[^"]*"|'[^']*'|[^\s"'])+/.exec(rest) ?? [];
    if (!first.includes("="))
      this.#findings.of(
        step,
        "LegacyKeyValueFormat",
        `"${step.keyword} key=value" should be used instead of legacy "${step.keyword} key value" format`,
      );
    if (step.kind === "env") for (const { key } of step.pairs) scope.names.add(key);
  }

  /** The first one counts: with it every later one is right. */
  #workdir(step: InstructionOf<"workdir">, scope: Scope): void {
    const path = safely(step.path, scope.values, this.#options);
    const unknown = bareVariables(step.path).some((name) => !scope.values.has(name));
    if (!scope.placed && !unknown && !path.startsWith("/"))
      this.#findings.of(
        step,
        "WorkdirRelativePath",
        `Relative workdir ${goQuote(path)} can have unexpected results if the base image changes`,
      );
    scope.placed = true;
  }

  #expose(step: InstructionOf<"expose">): void {
    for (const port of step.ports) {
      const protocol = port.split("/")[1] ?? "";
      if (protocol !== protocol.toLowerCase())
        this.#findings.of(
          step,
          "ExposeProtoCasing",
          `Defined protocol '${port}' in EXPOSE instruction should be lowercase`,
        );
      if (port.replace(/\$\{[^}]*\}/g, "").includes(":"))
        this.#findings.of(
          step,
          "ExposeInvalidFormat",
          `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
        );
    }
  }

  #transfer(step: InstructionOf<"copy" | "add">): void {
    const { transfer } = step;
    const { ignored } = this.#given;
    // With exceptions it cannot be told without the files.
    if (transfer.from !== "" || ignored === undefined || ignored.exceptions) return;
    for (const source of transfer.sources) {
      if (/^[a-z]+:\/\//i.test(source) || source.includes("$")) continue;
      const shown = cleanPath(source);
      const path = cleanPath(`/${source}`).slice(1);
      if (path === "" ? !ignored.everything : !ignored.skips(path)) continue;
      this.#findings.of(
        step,
        "CopyIgnoredFile",
        `Attempting to ${step.kind === "copy" ? "Copy" : "Add"} file ${goQuote(shown)} that is excluded by .dockerignore`,
      );
    }
  }

  /** All but the last of what counts once. */
  #once(step: Instruction, seen: Map<string, Instruction>): void {
    if (step.kind !== "cmd" && step.kind !== "entrypoint" && step.kind !== "healthcheck") return;
    const before = seen.get(step.kind);
    seen.set(step.kind, step);
    if (before === undefined) return;
    this.#findings.add(
      "MultipleInstructionsDisallowed",
      before.lines,
      `Multiple ${step.keyword} instructions should not be used in the same stage because only the last one will be used`,
      step.comments,
    );
  }
}

/** Those in which a variable that is not there is told. */
function wordsOf(step: Instruction): readonly string[] {
  switch (step.kind) {
    case "copy":
    case "add": {
      const { sources, destination, chown, chmod, checksum, exclude, inline } = step.transfer;
      const bodies = inline.filter(({ expand }) => expand).map(({ content }) => content);
      return [...sources, destination, chown, chmod, checksum, ...exclude, ...bodies];
    }
    case "env":
    case "label":
      return step.pairs.flatMap(({ key, value }) => [key, value]);
    case "arg":
      return step.args.flatMap(({ value }) => value ?? []);
    case "run":
      return step.mounts;
    case "user":
      return [step.user];
    case "volume":
      return step.paths;
    case "stopsignal":
      return [step.signal];
    case "workdir":
      return [step.path];
    default:
      return [];
  }
}
