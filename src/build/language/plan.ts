/**
 * Pure. Instructions → stages with what each needs, and the refusals that can be told before anything runs.
 * Owns: stage names and indices, the target, step counts, cache keys.
 * Promises: a plan that comes back with no error never refers to a stage that is not there, nor in a circle.
 */
import type { ImageRunConfig } from "#spec/image.ts";
import type { Dockerfile } from "./dockerfile.ts";
import type { Instruction, InstructionOf } from "./instruction.ts";
import type { Diagnostic, LineRange } from "./lines.ts";
import { suggestion } from "./suggest.ts";

export interface StagePlan {
  readonly index: number;
  /** In lower case; empty for none. */
  readonly name: string;
  readonly from: InstructionOf<"from">;
  readonly steps: readonly Instruction[];
  /** Earlier stages that FROM or COPY name outright; a FROM that holds a variable is known only when it runs. */
  readonly needs: readonly number[];
}

export interface BuildPlan {
  /** ARGs before the first FROM. */
  readonly globals: readonly InstructionOf<"arg">[];
  /** Up to the target, in the order of the file. Never empty when there is no error. */
  readonly stages: readonly StagePlan[];
  /** The `m` of `Step n/m`. */
  readonly stepCount: number;
}

export interface PlanOptions {
  /** Name or index of the stage to end with; absent or empty for the last. */
  readonly target?: string | undefined;
  /** Labels of the request, set on the last stage. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Which stage of `stages` a name or an index means; names win over indices. */
export function findStage(stages: readonly StagePlan[], reference: string): StagePlan | undefined {
  const lower = reference.toLowerCase();
  const named = stages.find((stage) => stage.name !== "" && stage.name === lower);
  return named ?? (/^\d+$/.test(reference) ? stages[Number(reference)] : undefined);
}

export function planBuild(dockerfile: Dockerfile, options: PlanOptions): [BuildPlan, Diagnostic[]] {
  const diagnostics: Diagnostic[] = [];
  const complain = (lines: LineRange, message: string) =>
    diagnostics.push({ severity: "error", message, lines });
  const globals: InstructionOf<"arg">[] = [];
  const stages: (StagePlan & { readonly steps: Instruction[] })[] = [];
  for (const instruction of dockerfile.instructions) {
    const current = stages.at(-1);
    if (instruction.kind === "from") {
      if (instruction.name !== "" && stages.some((stage) => stage.name === instruction.name))
        complain(instruction.lines, `${instruction.name} stage name already used`);
      stages.push({
        index: stages.length,
        name: instruction.name,
        from: instruction,
        steps: [],
        needs: needsOf(stages, instruction.base),
      });
    } else if (current !== undefined) {
      refuse(instruction, complain);
      checkSource(instruction, stages, complain);
      current.steps.push(instruction);
    } else if (instruction.kind === "arg") globals.push(instruction);
    else complain(instruction.lines, "no build stage in current context");
  }
  const target = targetStage(stages, options.target, complain);
  const planned = stages.slice(0, (target?.index ?? -1) + 1).map((stage) => withCopies(stage, stages));
  const last = planned.at(-1);
  if (last !== undefined)
    planned[last.index] = { ...last, steps: [...last.steps, ...labels(options.labels)] };
  const stepCount = planned.reduce((sum, stage) => sum + 1 + stage.steps.length, globals.length);
  return [{ globals, stages: planned, stepCount }, diagnostics];
}

type Complain = (lines: LineRange, message: string) => void;

function targetStage(
  stages: readonly StagePlan[],
  target: string | undefined,
  complain: Complain,
): StagePlan | undefined {
  if (target === undefined || target === "") {
    const last = stages.at(-1);
    if (last === undefined) complain({ start: 1, end: 1 }, "no build stage in current context");
    return last;
  }
  const found = findStage(stages, target);
  if (found === undefined) {
    const near = suggestion(
      target,
      stages.map((stage) => stage.name).filter((name) => name !== ""),
    );
    complain({ start: 0, end: 0 }, `target stage ${JSON.stringify(target)} could not be found${near}`);
  }
  return found;
}

function needsOf(stages: readonly StagePlan[], reference: string): readonly number[] {
  const lower = reference.toLowerCase();
  const stage = stages.find((candidate) => candidate.name !== "" && candidate.name === lower);
  return stage === undefined ? [] : [stage.index];
}

function withCopies(stage: StagePlan, stages: readonly StagePlan[]): StagePlan {
  const needs = new Set(stage.needs);
  for (const step of stage.steps) {
    if (step.kind !== "copy" || step.transfer.from === "") continue;
    const source = findStage(stages.slice(0, stage.index), step.transfer.from);
    if (source !== undefined) needs.add(source.index);
  }
  return { ...stage, needs: [...needs].sort((left, right) => left - right) };
}

/** `COPY --from=2` must name an earlier stage; other words may be images. */
function checkSource(instruction: Instruction, stages: readonly StagePlan[], complain: Complain): void {
  if (instruction.kind !== "copy" || !/^\d+$/.test(instruction.transfer.from)) return;
  const { from } = instruction.transfer;
  const index = Number(from);
  if (findStage(stages.slice(0, -1), from) !== undefined) return;
  const why = index === stages.length - 1 ? "refers to current build stage" : "index out of bounds";
  complain(instruction.lines, `invalid from flag value ${from}: ${why}`);
}

/** Flags whose meaning the classic builder lacks, by instruction. `--link` changes no file, so it is let through. */
const refusedFlags: Partial<Record<Instruction["kind"], readonly string[]>> = {
  run: ["mount", "network", "security", "device"],
  copy: ["exclude", "parents"],
  add: ["exclude", "keep-git-dir", "unpack"],
};

function refuse(instruction: Instruction, complain: Complain): void {
  for (const flag of instruction.flags)
    if (refusedFlags[instruction.kind]?.includes(flag))
      complain(
        instruction.lines,
        `the --${flag} option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled`,
      );
  if (instruction.kind !== "run") return;
  const [script] = instruction.command.heredocs;
  if (script?.content.startsWith("#!") && /^<<-?\s*\S+$/.test(instruction.command.args[0] ?? ""))
    complain(
      instruction.lines,
      "a heredoc script with #! requires BuildKit: build with it, or name the interpreter in RUN, as in `RUN python3 <<EOF`",
    );
}

/** The request's labels, one instruction each, as Docker counts and shows them. */
function labels(given: Readonly<Record<string, string>> | undefined): Instruction[] {
  return Object.entries(given ?? {})
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, value]) => ({
      kind: "label",
      pairs: [{ key, value }],
      literal: true,
      source: `LABEL ${key}=${value}`,
      lines: { start: 0, end: 0 },
      flags: [],
      keyword: "LABEL",
      comments: [],
    }));
}

/** What makes a step's result what it is. */
export interface StepIdentity {
  /** Id of the image before it; empty for scratch. */
  readonly parent: string;
  /** `os/architecture[/variant]`. */
  readonly platform: string;
  /** The history line: the command with the build arguments it can see, or the hash of the files it reads. */
  readonly createdBy: string;
  readonly author: string;
  /** The configuration behind the step. */
  readonly config: ImageRunConfig;
}

/** The same text for two steps exactly when the result of either may stand for the other's. */
export function stepKey(identity: StepIdentity): string {
  return JSON.stringify(identity, (_key, value: unknown) =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)))
      : value,
  );
}

/** An image's configuration without what is unset. */
export function tidyConfig(config: ImageRunConfig): ImageRunConfig {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => value !== undefined && value !== null),
  );
}
