/**
 * Runs every case of the dockerfile*.txt files beside it: `command options`, a Dockerfile, `----`, what must come out.
 * Cases are separated by `====`. `UPDATE_TRACE=1` writes what does come out, to be read before it is committed.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ArgumentScope, type GivenArguments } from "#build/language/build-args.ts";
import { parseDockerfile, parseTrigger } from "#build/language/dockerfile.ts";
import { expandWord } from "#build/language/expand.ts";
import type { Instruction } from "#build/language/instruction.ts";
import type { Diagnostic } from "#build/language/lines.ts";
import { planBuild, tidyConfig } from "#build/language/plan.ts";
import { beginStage, configOf } from "#build/language/stage-state.ts";
import { applyInstruction, type Dialect, type Step } from "#build/language/step.ts";
import { Fault } from "#spec/fault.ts";
import type { ImageRunConfig } from "#spec/image.ts";

interface CaseOptions {
  target?: string;
  labels?: Record<string, string>;
  args?: GivenArguments;
  base?: ImageRunConfig;
  dialect?: Dialect;
}

const commands: Record<string, (text: string, options: CaseOptions) => string[]> = { parse, plan, apply };

for (const file of readdirSync(import.meta.dir).filter((name) => /^dockerfile.*\.txt$/.test(name))) {
  const path = join(import.meta.dir, file);
  const cases = readFileSync(path, "utf8").split(/^====\n/m);
  const actual = cases.map((text) => run(text));
  if (process.env["UPDATE_TRACE"] === "1") writeFileSync(path, actual.map(({ text }) => text).join("====\n"));
  for (const { title, got, wanted } of actual) test(`${file}: ${title}`, () => expect(got).toBe(wanted));
}

function run(text: string) {
  const [, comments = "", command = "", options = "", input = "", wanted = ""] =
    /^((?:# [^\n]*\n)*)(\w+)(?: ([^\n]*))?\n(.*?)(?<=\n)----\n(.*)$/s.exec(text) ?? [];
  const execute = commands[command];
  if (execute === undefined) throw new Error(`not a trace case: ${text}`);
  const lines = execute(input, options === "" ? {} : (JSON.parse(options) as CaseOptions));
  const got = lines.map((line) => `${line}\n`).join("");
  const head = `${comments}${command}${options === "" ? "" : ` ${options}`}\n`;
  return {
    title: comments.slice(2).trim() || input.trim(),
    got,
    wanted,
    text: `${head}${input}----\n${got}`,
  };
}

function parse(text: string): string[] {
  const [{ instructions, escapeChar, directives }, diagnostics] = parseDockerfile(text);
  return [
    ...[...directives].map(([name, value]) => `directive ${name}=${value}`),
    ...(escapeChar === "\\" ? [] : [`escape ${escapeChar}`]),
    ...instructions.map(showInstruction),
    ...diagnostics.map(showDiagnostic),
  ];
}

function plan(text: string, options: CaseOptions): string[] {
  const [dockerfile, found] = parseDockerfile(text);
  const [built, refused] = planBuild(dockerfile, options);
  const errors = [...found, ...refused];
  if (errors.some(({ severity }) => severity === "error")) return errors.map(showDiagnostic);
  return [
    `${built.stepCount} steps`,
    ...built.globals.map((instruction) => `global ${instruction.source}`),
    ...built.stages.flatMap((stage) => [
      `stage ${stage.index} ${stage.name || "-"} from ${stage.from.base} needs [${stage.needs.join(" ")}]`,
      ...stage.steps.map((step) => `  ${step.source.replaceAll("\n", "\\n")}`),
    ]),
  ];
}

/** Goes through every stage as the solver does, with files that hash to `file:f00` and triggers run after FROM. */
function apply(text: string, options: CaseOptions): string[] {
  const [dockerfile, found] = parseDockerfile(text);
  const [built, refused] = planBuild(dockerfile, options);
  const errors = [...found, ...refused].filter(({ severity }) => severity === "error");
  if (errors.length > 0) return errors.map(showDiagnostic);
  const out: string[] = [];
  let scope = ArgumentScope.from(options.args ?? {});
  for (const { args } of built.globals)
    for (const { key, value } of args)
      scope = scope.declareGlobal(
        key,
        value === undefined
          ? undefined
          : expandWord(value, scope.globals(), { escapeChar: dockerfile.escapeChar }),
      );
  for (const stage of built.stages) {
    const base = expandWord(stage.from.base, scope.globals(), { escapeChar: dockerfile.escapeChar });
    out.push(`FROM ${base}`);
    const config = base === "scratch" ? undefined : options.base;
    let state = beginStage(config, scope.stage());
    for (const instruction of [...(config?.OnBuild ?? []).map(parseTrigger), ...stage.steps]) {
      try {
        const step = applyInstruction(state, instruction, {
          escapeChar: dockerfile.escapeChar,
          dialect: options.dialect ?? "classic",
        });
        out.push(...showStep(step));
        state = step.next;
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        return [...out, `${error.kind}: ${error.message}`];
      }
    }
    out.push(`  => ${JSON.stringify(tidyConfig(configOf(state)))}`);
  }
  return out;
}

function showStep(step: Step): string[] {
  const lines = [`  history ${JSON.stringify(step.createdBy("file:f00"))}`];
  if (step.work.kind === "run")
    for (const mount of step.work.mounts) lines.push(`    mount ${JSON.stringify(mount)}`);
  if (step.work.kind === "run")
    lines.push(`    run ${JSON.stringify(step.work.args)} with ${step.work.env.join(" ")}`);
  if (step.work.kind === "make-directory") lines.push(`    make-directory ${step.work.path}`);
  if (step.work.kind === "transfer") {
    const { sources, inline, destination, chown, chmod, from } = step.work.transfer;
    lines.push(`    transfer ${JSON.stringify({ sources, inline, destination, chown, chmod, from })}`);
  }
  return [...lines, ...step.notes.map((note) => `    note ${note.trimEnd()}`)];
}

/** Without what is as it is when nothing is said. */
function showInstruction({ lines, flags, kind, ...all }: Instruction): string {
  const quiet = ["source", "keyword", "comments", "written"];
  const unset = ["mounts", "network", "security", "devices", "link", "parents", "exclude", "keepGitDir"];
  const said = (key: string, value: unknown) =>
    !quiet.includes(key) && !(unset.includes(key) && (value === "" || value === false || isEmptyList(value)));
  const shown = (value: object): Record<string, unknown> =>
    Object.fromEntries(Object.entries(value).filter(([key, each]) => said(key, each)));
  const body = "transfer" in all ? { transfer: shown(all.transfer) } : shown(all);
  const range = lines.start === lines.end ? `${lines.start}` : `${lines.start}-${lines.end}`;
  return `${range} ${kind}${flags.map((flag) => ` --${flag}`).join("")} ${JSON.stringify(body)}`;
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function showDiagnostic({ severity, message, lines }: Diagnostic): string {
  return `${severity} ${lines.start}-${lines.end}: ${message}`;
}
