/** Pure. Checks that need the text alone, of every stage: letters, names of stages, comments, lines. */
import type { Dockerfile } from "#build/language/dockerfile.ts";
import type { Instruction, InstructionOf } from "#build/language/instruction.ts";
import type { Diagnostic } from "#build/language/lines.ts";
import type { Stages } from "#build/language/stage-graph.ts";
import { goQuote } from "#spec/go-quote.ts";
import type { Findings } from "./findings.ts";

interface Text {
  readonly dockerfile: Dockerfile;
  readonly stages: Stages;
  readonly diagnostics: readonly Diagnostic[];
}

export function checkText({ dockerfile, stages, diagnostics }: Text, findings: Findings): void {
  for (const { lines, message, severity } of diagnostics)
    if (severity === "warning" && message.startsWith("Empty continuation"))
      findings.add("NoEmptyContinuation", { start: lines.end, end: lines.end }, "Empty continuation line");
  for (const instruction of dockerfile.instructions) checkInstruction(instruction, findings);
  const names = new Set<string>();
  for (const { from, name } of stages.list) {
    if (name === "scratch" || name === "context")
      findings.add(
        "ReservedStageName",
        from.lines,
        `Stage name should not use the same name as reserved stage ${goQuote(name)}`,
      );
    if (names.has(name))
      findings.add(
        "DuplicateStageName",
        from.lines,
        `Duplicate stage name ${goQuote(name)}, stage names should be unique`,
      );
    if (name !== "") names.add(name);
  }
  checkCasing(
    stages.list.flatMap(({ from, steps }) => [from, ...steps]),
    findings,
  );
}

function checkInstruction(instruction: Instruction, findings: Findings): void {
  if (instruction.kind === "maintainer")
    findings.of(
      instruction,
      "MaintainerDeprecated",
      "Maintainer instruction is deprecated in favor of using label",
    );
  if (instruction.kind === "arg") {
    const names = instruction.args.map(({ key }) => key);
    checkDescription(instruction, "ARG", names, findings);
  }
  if (instruction.kind !== "from") return;
  checkFrom(instruction, findings);
  if (instruction.name !== "") checkDescription(instruction, "FROM", [instruction.name], findings);
}

function checkFrom(from: InstructionOf<"from">, findings: Findings): void {
  const { keyword, written } = from;
  if (written.name !== written.name.toLowerCase())
    findings.of(from, "StageNameCasing", `Stage name '${written.name}' should be lowercase`);
  const [lower, upper] = [keyword === keyword.toLowerCase(), keyword === keyword.toUpperCase()];
  // Of a keyword in letters of both kinds the casing is told already.
  if (written.as === "" || (!lower && !upper)) return;
  if (written.as !== (lower ? written.as.toLowerCase() : written.as.toUpperCase()))
    findings.of(from, "FromAsCasing", `'${written.as}' and '${keyword}' keywords' casing do not match`);
}

/** The comment right above must begin with what it is about. */
function checkDescription(
  instruction: Instruction,
  what: string,
  names: readonly string[],
  findings: Findings,
): void {
  const last = instruction.comments.at(-1);
  if (last === undefined || names.length === 0 || names.includes(last.split(" ", 1)[0] ?? "")) return;
  const example = names.length > 1 ? "<arg_key>" : names[0];
  findings.of(
    instruction,
    "InvalidDefinitionDescription",
    `Comment for ${what} should follow the format: \`# ${example} <description>\``,
  );
}

function checkCasing(instructions: readonly Instruction[], findings: Findings): void {
  const lower = instructions.filter(({ keyword }) => keyword === keyword.toLowerCase()).length;
  const upper = instructions.filter(({ keyword }) => keyword === keyword.toUpperCase()).length;
  const majority = lower > upper ? "lowercase" : "uppercase";
  for (const { keyword, lines } of instructions)
    if (keyword !== (majority === "uppercase" ? keyword.toUpperCase() : keyword.toLowerCase()))
      findings.add(
        "ConsistentInstructionCasing",
        lines,
        `Command '${keyword}' should match the case of the command majority (${majority})`,
      );
}
