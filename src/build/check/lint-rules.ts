/** Pure. The build checks by their names (docs.docker.com/reference/build-checks). */

import type { LineRange } from "#build/language/lines.ts";
import { Fault } from "#spec/fault.ts";
import type { LintWarning } from "./build-questions.ts";

/** Of each rule: what it wants in general. */
export const ruleDescriptions = {
  StageNameCasing: "Stage names should be lowercase",
  FromAsCasing: "The 'as' keyword should match the case of the 'from' keyword",
  NoEmptyContinuation: "Empty continuation lines will become errors in a future release",
  ConsistentInstructionCasing:
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
  DuplicateStageName: "Stage names should be unique",
  ReservedStageName: "Reserved words should not be used as stage names",
  JSONArgsRecommended:
    "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
  MaintainerDeprecated:
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
  UndefinedArgInFrom: "FROM command must use declared ARGs",
  WorkdirRelativePath:
    "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
  UndefinedVar: "Variables should be defined before their use",
  MultipleInstructionsDisallowed:
    "Multiple instructions of the same type should not be used in the same stage",
  LegacyKeyValueFormat: "Legacy key/value format with whitespace separator should not be used",
  InvalidBaseImagePlatform: "Base image platform does not match expected target platform",
  RedundantTargetPlatform:
    "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
  SecretsUsedInArgOrEnv: "Sensitive data should not be used in the ARG or ENV commands",
  InvalidDefaultArgInFrom: "Default value for global ARG results in an empty or invalid base image name",
  FromPlatformFlagConstDisallowed: "FROM --platform flag should not use a constant value",
  CopyIgnoredFile: "Attempting to Copy file that is excluded by .dockerignore",
  InvalidDefinitionDescription:
    "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
  ExposeProtoCasing: "Protocol in EXPOSE instruction should be lowercase",
  ExposeInvalidFormat:
    "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
} as const;

export type RuleName = keyof typeof ruleDescriptions;

/** What does not hold, with what goes for the rule in general. */
export function warningOf(rule: RuleName, detail: string, lines: LineRange): LintWarning {
  return { rule, description: ruleDescriptions[rule], url: ruleUrl(rule), detail, lines: [lines] };
}

const experimental: readonly RuleName[] = ["InvalidDefinitionDescription"];

export function ruleUrl(rule: RuleName): string {
  const kebab = rule.replace(/([a-z])([A-Z])/g, "$1-$2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1-$2");
  return `https://docs.docker.com/go/dockerfile/rule/${kebab.toLowerCase()}/`;
}

/** `# check=` and BUILDKIT_DOCKERFILE_CHECK: `skip=A,B;error=true;experimental=all`. */
export interface CheckSettings {
  /** Warnings fail the build. */
  readonly error: boolean;
  readonly skip: readonly string[];
  readonly experimental: readonly string[];
  /** `own`: what the instruction has to say beside it. Rules on trial must be asked for, and cannot be skipped. */
  wants(rule: RuleName, own?: CheckSettings): boolean;
}

/** @throws Fault `invalid` in BuildKit's words for an option that is none. */
export function checkSettings(text: string): CheckSettings {
  const given = new Map<string, string>();
  for (const pair of text.trim() === "" ? [] : text.split(";")) {
    const [key = "", value] = pair.split(/=(.*)/s, 2);
    const name = key.trim();
    if (value === undefined || !["skip", "error", "experimental"].includes(name))
      throw new Fault("invalid", `invalid check option ${JSON.stringify(value === undefined ? pair : name)}`);
    given.set(name, value.trim());
  }
  const listed = (key: string) => (given.get(key) ?? "").split(",").map((name) => name.trim());
  const [skip, tried] = [listed("skip"), listed("experimental")];
  const names = (list: readonly string[], rule: RuleName) => list.includes("all") || list.includes(rule);
  return {
    error: truth(given.get("error") ?? "false"),
    skip,
    experimental: tried,
    wants: (rule, own) =>
      experimental.includes(rule)
        ? names(tried, rule) || (own !== undefined && names(own.experimental, rule))
        : !names(skip, rule) && !(own !== undefined && names(own.skip, rule)),
  };
}

/** Go's words for yes and no. */
function truth(text: string): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new Fault(
    "invalid",
    `failed to parse check option "error=${text}": strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}
