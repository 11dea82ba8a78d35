/** What can be asked of a Dockerfile without building it, and the answers, in the shapes BuildKit's subrequests have. */

import type { LineRange } from "#build/language/lines.ts";
import type { BuildRequest } from "#build/request/build-request.ts";
import type { SourceFile } from "#build/request/progress.ts";

export interface LintWarning {
  readonly rule: string;
  /** Of the rule in general. */
  readonly description: string;
  readonly url: string;
  /** Of this case. */
  readonly detail: string;
  readonly lines: readonly LineRange[];
}

/** `--check`. */
export interface LintReport {
  readonly warnings: readonly LintWarning[];
  readonly source: SourceFile;
  /** The Dockerfile cannot be built at all. */
  readonly error?: { readonly message: string; readonly lines: readonly LineRange[] } | undefined;
  /** `# check=error=true`, and there are warnings. */
  readonly failed: boolean;
}

/** `--call=outline`: what the target takes. */
export interface Outline {
  readonly name: string;
  readonly description: string;
  readonly args: readonly {
    readonly name: string;
    readonly description: string;
    readonly value: string;
    readonly lines: LineRange;
  }[];
  readonly secrets: readonly {
    readonly name: string;
    readonly required: boolean;
    readonly lines: LineRange;
  }[];
  readonly ssh: readonly { readonly name: string; readonly required: boolean; readonly lines: LineRange }[];
  readonly cache: readonly { readonly id: string; readonly lines: LineRange }[];
  readonly source: SourceFile;
}

/** `--call=targets`. */
export interface Targets {
  readonly targets: readonly {
    readonly name: string;
    readonly default: boolean;
    readonly description: string;
    /** What FROM names. */
    readonly base: string;
    readonly platform: string;
    readonly lines: LineRange;
  }[];
  readonly source: SourceFile;
}

/** A question needs the Dockerfile and the options, not the context. */
export type QuestionRequest = Pick<BuildRequest, "options" | "client" | "signal">;
