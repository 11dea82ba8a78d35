/** What the checks found, but for what was not to be looked for: by the whole file, or by a comment above one instruction. */
import type { Instruction } from "#build/language/instruction.ts";
import type { LineRange } from "#build/language/lines.ts";
import type { LintWarning } from "./build-questions.ts";
import { type CheckSettings, checkSettings, type RuleName, warningOf } from "./lint-rules.ts";

export class Findings {
  readonly warnings: LintWarning[] = [];
  readonly #settings: CheckSettings;

  constructor(settings: CheckSettings) {
    this.#settings = settings;
  }

  /** `comments`: those above it, which may have a say. */
  add(rule: RuleName, lines: LineRange, detail: string, comments: readonly string[] = []): void {
    if (this.#settings.wants(rule, ownSettings(comments))) this.warnings.push(warningOf(rule, detail, lines));
  }

  /** Of an instruction, at its lines. */
  of({ lines, comments }: Pick<Instruction, "lines" | "comments">, rule: RuleName, detail: string): void {
    this.add(rule, lines, detail, comments);
  }
}

/** `# check=skip=RULE // why`, for one instruction: the first of its comments. One that cannot be read is none. */
function ownSettings(comments: readonly string[]): CheckSettings | undefined {
  for (const comment of comments) {
    const [, value] = /^check\s*=\s*(\S+)/i.exec(comment) ?? [];
    if (value === undefined) continue;
    try {
      return checkSettings(value);
    } catch {
      return undefined;
    }
  }
  return undefined;
}
