/**
 * Pure. The build checks on a Dockerfile: what the text alone shows, what FROM says, and what the stages that are built do.
 * Of a base it knows nothing of it assumes that every variable is there.
 */

import type { IgnoredFiles } from "#build/files/ignore-patterns.ts";
import type { GivenArguments } from "#build/language/build-args.ts";
import type { Dockerfile } from "#build/language/dockerfile.ts";
import type { Diagnostic } from "#build/language/lines.ts";
import { type Stage, type Stages, stagesFor, targetOf } from "#build/language/stage-graph.ts";
import type { ImageConfig } from "#spec/image.ts";
import type { LintWarning } from "./build-questions.ts";
import { Findings } from "./findings.ts";
import { FromChecks } from "./from-checks.ts";
import { type CheckSettings, checkSettings } from "./lint-rules.ts";
import { StageChecks } from "./stage-checks.ts";
import { checkText } from "./text-checks.ts";

export interface LintInput {
  readonly dockerfile: Dockerfile;
  readonly stages: Stages;
  readonly diagnostics: readonly Diagnostic[];
  /** Its stage and what that needs are looked at; undefined for all there are. */
  readonly target?: string | undefined;
  readonly buildArgs: GivenArguments;
  /** Variables that every FROM may refer to. */
  readonly platformArgs: Readonly<Record<string, string>>;
  /** The base of a stage, if it is known without fetching. */
  readonly baseOf: (name: string) => ImageConfig | undefined;
  /** What `.dockerignore` leaves out, where it is known. */
  readonly ignored: IgnoredFiles | undefined;
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

/** @throws Fault `invalid` for settings that mean nothing. */
export function lint(input: LintInput): Linted {
  const { dockerfile, stages } = input;
  const settings = checkSettings(input.settings ?? dockerfile.directives.get("check") ?? "");
  const findings = new Findings(settings);
  checkText(input, findings);
  const from = new FromChecks(input, findings);
  for (const stage of stages.list) from.check(stage);
  const checks = new StageChecks(input, findings, (stage) => from.baseName(stage));
  for (const stage of wanted(input, (each) => from.baseName(each))) checks.check(stage);
  const { warnings } = findings;
  warnings.sort((left, right) => (left.lines[0]?.start ?? 0) - (right.lines[0]?.start ?? 0));
  return { warnings, failed: settings.error && warnings.length > 0, settings };
}

function wanted({ stages, target }: LintInput, baseName: (stage: Stage) => string): readonly Stage[] {
  if (target === undefined) return stages.list;
  const needed = stagesFor(stages.list, targetOf(stages.list, target), baseName);
  return stages.list.filter((stage) => needed.has(stage));
}
