/** The build checks on a Dockerfile as a request has it. */

import type { BuildEngine } from "#build/build-engine.ts";
import { type IgnoredFiles, ignoreFilter, ignoreLines } from "#build/files/ignore-patterns.ts";
import { platformsOf, prefixed } from "#build/request/build-options.ts";
import { platformArgs } from "#build/solver/lower.ts";
import { isFault } from "#spec/fault.ts";
import type { Platform } from "#spec/image.ts";
import type { QuestionRequest } from "./build-questions.ts";
import { type Linted, type LintInput, lint } from "./lint.ts";

export interface QuestionParts {
  readonly engine: BuildEngine;
  readonly platform: Platform;
  readonly options: QuestionRequest["options"];
}

/** A Dockerfile that can be read, and what there was to say of its text. */
export type ReadDockerfile = Pick<LintInput, "dockerfile" | "diagnostics" | "stages">;

export function lintSource(
  read: ReadDockerfile,
  ignoreText: string | undefined,
  parts: QuestionParts,
  /** Undefined for every stage there is. */
  target: string | undefined,
): Linted {
  const { engine, options, platform } = parts;
  const buildArgs = prefixed(options, "build-arg:");
  const [targetPlatform = platform] = platformsOf(options, platform);
  const lines = ignoreText === undefined ? [] : ignoreLines(ignoreText);
  return lint({
    ...read,
    target,
    buildArgs,
    platformArgs: platformArgs({ buildPlatform: platform, targetPlatform }),
    baseOf: (name) => {
      try {
        return engine.images.get(name).config;
      } catch (error) {
        if (isFault(error, "not-found") || isFault(error, "invalid")) return undefined;
        throw error;
      }
    },
    ignored: lines.length === 0 ? undefined : ignoredFiles(lines),
    settings: buildArgs["BUILDKIT_DOCKERFILE_CHECK"],
  });
}

export function ignoredFiles(lines: readonly string[]): IgnoredFiles {
  const everything = lines.some((line) => ["*", "**", "**/*"].includes(line));
  return { ...ignoreFilter(lines, ".dockerignore"), everything };
}
