/**
 * Pure. Which stages of a Dockerfile need which, and the order that follows; refusals that can be told before anything runs.
 */
import { Fault } from "#spec/fault.ts";
import type { Dockerfile } from "./dockerfile.ts";
import type { Instruction, InstructionOf } from "./instruction.ts";
import { csvFields } from "./run-mount.ts";
import { suggestion } from "./suggest.ts";

export interface Stage {
  readonly index: number;
  /** In lower case; empty for none. */
  readonly name: string;
  readonly from: InstructionOf<"from">;
  readonly steps: readonly Instruction[];
}

export interface Stages {
  /** ARGs before the first FROM. */
  readonly globals: readonly InstructionOf<"arg">[];
  readonly list: readonly Stage[];
}

/** A fault of one instruction. */
export class InstructionFault extends Fault {
  readonly instruction: Instruction;

  constructor(instruction: Instruction, cause: Fault) {
    super(cause.kind, cause.message, { cause, detail: cause.detail });
    this.instruction = instruction;
  }
}

/** Runs `work`; its Fault gets the instruction, unless it has one or the build was called off. */
export async function at<T>(instruction: Instruction, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Fault) || error instanceof InstructionFault || error.kind === "cancelled")
      throw error;
    throw new InstructionFault(instruction, error);
  }
}

/** @throws InstructionFault for an instruction before the first FROM. */
export function stagesOf({ instructions }: Dockerfile): Stages {
  const globals: InstructionOf<"arg">[] = [];
  const list: (Stage & { steps: Instruction[] })[] = [];
  for (const instruction of instructions) {
    const current = list.at(-1);
    if (instruction.kind === "from")
      list.push({ index: list.length, name: instruction.name, from: instruction, steps: [] });
    else if (current !== undefined) current.steps.push(instruction);
    else if (instruction.kind === "arg") globals.push(instruction);
    else throw new InstructionFault(instruction, new Fault("invalid", "no build stage in current context"));
  }
  return { globals, list };
}

/** A stage by name or index; the last of several with the name, and names win over indices. */
export function stageNamed(stages: readonly Stage[], reference: string): Stage | undefined {
  const lower = reference.toLowerCase();
  const named = stages.findLast((stage) => stage.name !== "" && stage.name === lower);
  return named ?? (/^\d+$/.test(reference) ? stages[Number(reference)] : undefined);
}

/** @throws Fault `invalid` with the nearest name. */
export function targetOf(stages: readonly Stage[], target: string): Stage {
  const found = target === "" ? stages.at(-1) : stageNamed(stages, target);
  if (found !== undefined) return found;
  if (target === "") throw new Fault("invalid", "dockerfile contains no stages to build");
  const names = stages.map(({ name }) => name).filter((name) => name !== "");
  throw new Fault(
    "invalid",
    `target stage ${JSON.stringify(target)} could not be found${suggestion(target, names)}`,
  );
}

/** What COPY, ADD and RUN of an instruction read from: `--from` and mounts' `from`, as written. */
export function referencesOf(instruction: Instruction): string[] {
  if (instruction.kind === "copy") return instruction.transfer.from === "" ? [] : [instruction.transfer.from];
  if (instruction.kind !== "run") return [];
  return instruction.mounts
    .map(
      (mount) =>
        csvFields(mount)
          .find((field) => /^from=/i.test(field))
          ?.slice("from=".length) ?? "",
    )
    .filter((from) => from !== "");
}

/** @throws InstructionFault when stages that the target needs need one another in a circle. */
export function refuseCircles(stages: readonly Stage[], target: Stage): void {
  const done = new Set<Stage>();
  const open = new Set<Stage>();
  // Explicit, since a chain of stages may be as long as a Dockerfile.
  const stack: { stage: Stage; pending: [Stage, Instruction][] }[] = [];
  const enter = (stage: Stage) => {
    open.add(stage);
    stack.push({ stage, pending: needsOf(stages, stage) });
  };
  enter(target);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const next = top.pending.pop();
    if (next === undefined) {
      open.delete(top.stage);
      done.add(top.stage);
      stack.pop();
      continue;
    }
    const [needed, instruction] = next;
    if (open.has(needed))
      throw new InstructionFault(
        instruction,
        new Fault("invalid", `circular dependency detected on stage: ${needed.name || needed.index}`),
      );
    if (!done.has(needed)) enter(needed);
  }
}

/** The target and all that it needs. `baseName`: what stands behind a stage's FROM, its variables replaced. */
export function stagesFor(
  stages: readonly Stage[],
  target: Stage,
  baseName: (stage: Stage) => string,
): ReadonlySet<Stage> {
  const found = new Set([target]);
  for (const stage of found)
    for (const [needed] of needsOf(stages, stage, baseName(stage))) found.add(needed);
  return found;
}

function needsOf(stages: readonly Stage[], stage: Stage, baseName = stage.from.base): [Stage, Instruction][] {
  const needs: [Stage, Instruction][] = [];
  const base = stages
    .slice(0, stage.index)
    .findLast(({ name }) => name !== "" && name === baseName.toLowerCase());
  if (base !== undefined) needs.push([base, stage.from]);
  for (const step of stage.steps)
    for (const reference of referencesOf(step)) {
      const found = stageNamed(stages, reference);
      if (found !== undefined) needs.push([found, step]);
    }
  return needs;
}
