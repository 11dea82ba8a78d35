/** `--check`, `--call=outline`, `--call=targets`: what can be said of a Dockerfile without building it. */

import type { LintReport, Outline, Targets } from "./check/build-questions.ts";
import { lintSource, type QuestionParts, type ReadDockerfile } from "./check/lint-source.ts";
import { readDockerfile } from "./dockerfile-build.ts";
import { type Environment, expandWord } from "./language/expand.ts";
import { parseRunMount } from "./language/run-mount.ts";
import {
  InstructionFault,
  referencesOf,
  type Stage,
  type Stages,
  stageNamed,
  targetOf,
} from "./language/stage-graph.ts";
import { prefixed } from "./request/build-options.ts";
import { BuildFault } from "./request/build-request.ts";
import type { BuildInputs } from "./sources/build-inputs.ts";

/** @throws Fault when there is no Dockerfile at all; a bad one is told in the report. */
export async function lintReport(inputs: BuildInputs, parts: QuestionParts): Promise<LintReport> {
  const source = await inputs.dockerfile();
  let read: ReadDockerfile;
  try {
    read = readDockerfile(source, parts.options["target"] ?? "");
  } catch (error) {
    const lines =
      error instanceof BuildFault
        ? error.lines
        : error instanceof InstructionFault
          ? [error.instruction.lines]
          : [];
    const message = error instanceof Error ? error.message : String(error);
    return { warnings: [], source, error: { message, lines }, failed: false };
  }
  const ignoreText = await inputs.ignoreText();
  return { ...lintSource(read, ignoreText, parts, parts.options["target"] || undefined), source };
}

/** @throws BuildFault for a Dockerfile that cannot be read. */
export async function targetList(inputs: BuildInputs): Promise<Targets> {
  const source = await inputs.dockerfile();
  const { stages } = readDockerfile(source, "");
  const last = stages.list.length - 1;
  const targets = stages.list.map((stage) => ({
    name: stage.name,
    default: stage.index === last,
    description: descriptionOf(stage.from.comments, stage.name),
    base: stage.from.base,
    platform: stage.from.platform,
    lines: stage.from.lines,
  }));
  return { targets, source };
}

/** @throws BuildFault for a Dockerfile that cannot be read, or a target it has not. */
export async function outlineOf(inputs: BuildInputs, parts: QuestionParts): Promise<Outline> {
  const source = await inputs.dockerfile();
  const wanted = parts.options["target"] ?? "";
  const { stages } = readDockerfile(source, wanted);
  const target = targetOf(stages.list, wanted);
  const needed = neededStages(stages, target);
  const given = prefixed(parts.options, "build-arg:");
  const outliner = new Outliner(given);
  for (const instruction of stages.globals) outliner.args(instruction);
  for (const stage of needed) for (const step of stage.steps) outliner.step(step);
  const description = descriptionOf(target.from.comments, target.name);
  return {
    name: target.name || (wanted === "" ? "default" : wanted),
    description,
    ...outliner.found(),
    source,
  };
}

class Outliner {
  readonly #given: Readonly<Record<string, string>>;
  readonly #args = new Map<string, Outline["args"][number]>();
  readonly #secrets = new Map<string, Outline["secrets"][number]>();
  readonly #ssh = new Map<string, Outline["ssh"][number]>();
  readonly #cache = new Map<string, Outline["cache"][number]>();
  readonly #values = new Map<string, string>();

  constructor(given: Readonly<Record<string, string>>) {
    this.#given = given;
  }

  found(): Pick<Outline, "args" | "secrets" | "ssh" | "cache"> {
    const [args, secrets] = [[...this.#args.values()], [...this.#secrets.values()]];
    return { args, secrets, ssh: [...this.#ssh.values()], cache: [...this.#cache.values()] };
  }

  args({ args, comments, lines }: Stages["globals"][number]): void {
    for (const { key, value } of args) {
      const known = this.#args.get(key);
      const meaning = this.#given[key] ?? (value === undefined ? known?.value : this.#expand(value)) ?? "";
      const described = descriptionOf(comments, key) || known?.description || "";
      this.#args.set(key, {
        name: key,
        description: described,
        value: meaning,
        lines: known?.lines ?? lines,
      });
      this.#values.set(key, meaning);
    }
  }

  step(step: Stage["steps"][number]): void {
    if (step.kind === "arg") this.args(step);
    if (step.kind !== "run") return;
    const { lines } = step;
    for (const text of step.mounts) {
      const { type, id, target, required } = parseRunMount(text, (value) => this.#expand(value));
      if (type === "secret") this.#secrets.set(id, { name: id, required, lines });
      if (type === "ssh") this.#ssh.set(id || "default", { name: id || "default", required, lines });
      if (type === "cache") this.#cache.set(id || target, { id: id || target, lines });
    }
  }

  #expand(word: string): string {
    const environment: Environment = this.#values;
    return expandWord(word, environment, { escapeChar: "\\" });
  }
}

/** In the order of the file. */
function neededStages({ list }: Stages, target: Stage): Stage[] {
  const found = new Set<Stage>();
  const pending = [target];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    const stage = next;
    const base = list
      .slice(0, stage.index)
      .findLast(({ name }) => name !== "" && name === stage.from.base.toLowerCase());
    const read = stage.steps.flatMap(referencesOf).map((reference) => stageNamed(list, reference));
    pending.push(...[base, ...read].filter((each) => each !== undefined));
  }
  return [...found].sort((left, right) => left.index - right.index);
}

/** `# name what it is for`, right above. */
function descriptionOf(comments: readonly string[], name: string): string {
  const last = comments.at(-1) ?? "";
  return name !== "" && last.toLowerCase().startsWith(`${name.toLowerCase()} `)
    ? last.slice(name.length + 1).trim()
    : "";
}
