/**
 * Pure. Which builds a client asks for: `buildx history ls --filter`, as it is sent.
 * Source: moby/buildkit solver/llbsolver/history/filter.go.
 */
import { csvFields } from "#build/language/run-mount.ts";
import { Fault } from "#spec/fault.ts";
import { parseGoDuration } from "#spec/go-duration.ts";
import { parseRfc3339 } from "#spec/unix-time.ts";
import { condition } from "./containerd-filter.ts";
import { type MadeBuild, statusOf } from "./made-build.ts";

type Holds = (build: MadeBuild) => boolean;

/**
 * One of the texts must hold, with all conditions in it: `ref`, `status`, `repository` by `==`, `!=`, `~=`; `startedAt`,
 * `completedAt`, `duration` by `<`, `<=`, `>`, `>=`, a time or how long ago.
 * @throws Fault `invalid`.
 */
export function historyFilter(texts: readonly string[], nowMs: number): Holds {
  if (texts.length === 0) return () => true;
  const groups = texts.map((text) =>
    csvFields(text).map((each) => timeCondition(each, nowMs) ?? condition(each, fieldOf)),
  );
  return (build) => groups.some((group) => group.every((holds) => holds(build)));
}

function timeCondition(text: string, nowMs: number): Holds | undefined {
  const [, key, comparison, value = ""] =
    /^(startedAt|completedAt|duration)(>=|<=|>|<)(.*)$/s.exec(text) ?? [];
  if (key === undefined) return undefined;
  // Times are compared by the second, durations by what they are.
  const wanted = key === "duration" ? durationMs(value) : Math.floor(momentMs(value, nowMs) / 1000);
  const found = ({ startedMs, completedMs }: MadeBuild): number => {
    if (key === "startedAt") return Math.floor(startedMs / 1000);
    if (completedMs === undefined) return 0;
    return key === "completedAt" ? Math.floor(completedMs / 1000) : completedMs - startedMs;
  };
  switch (comparison) {
    case ">=":
      return (build) => found(build) >= wanted;
    case "<=":
      return (build) => found(build) <= wanted;
    case ">":
      return (build) => found(build) > wanted;
    default:
      return (build) => found(build) < wanted;
  }
}

function durationMs(text: string): number {
  try {
    return parseGoDuration(text) / 1e6;
  } catch (cause) {
    throw new Fault("invalid", `invalid duration ${text}`, { cause });
  }
}

function momentMs(text: string, nowMs: number): number {
  if (/^\d{4}-\d\d-\d\dT/.test(text)) {
    const moment = parseRfc3339(text);
    if (moment !== undefined) return Number(moment / 1_000_000n);
  } else if (/^[+-]?[\d.]/.test(text)) {
    try {
      return nowMs - parseGoDuration(text) / 1e6;
    } catch {
      // Said below.
    }
  }
  throw new Fault("invalid", `invalid time ${text}`);
}

function fieldOf(build: MadeBuild, field: string): string {
  if (field === "ref") return build.ref;
  if (field === "status") return statusOf(build);
  return field === "repository" ? repositoryOf(build.attributes) : "";
}

/** Where the client's files come from; empty for a directory that is in no repository. */
function repositoryOf({ "vcs:source": source, context = "" }: MadeBuild["attributes"]): string {
  if (source !== undefined) return source;
  const isGit = /^git(?::\/\/|@)|^https?:\/\/[^#?]*\.git(?:[#?]|$)|^ssh:\/\//.test(context);
  return isGit ? context.replace(/[#?].*$/s, "") : "";
}
