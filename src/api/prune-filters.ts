/**
 * The filters of the prune operations.
 * Pure.
 */
import { Fault } from "#spec/fault.ts";
import { matchesLabels, parseFilters } from "#spec/filters.ts";
import { goDurationOrNone } from "#spec/go-duration.ts";
import { isProtected } from "#spec/protection.ts";
import { parseUnixTime } from "#spec/unix-time.ts";

/** What prune filters look at. */
export interface Prunable {
  /** RFC 3339. */
  readonly created: string;
  readonly labels?: Readonly<Record<string, string>> | null | undefined;
}

/**
 * A test for "this may go": not protected, older than `until`, with all of `label` and none of `label!`.
 * @throws Fault `invalid` for unknown keys and times.
 */
export function pruneTest(
  filters: string | undefined,
  allowed: readonly string[],
  nowMs: number,
): (candidate: Prunable) => boolean {
  const parsed = parseFilters(filters, allowed);
  const { until: moments = [], label: present, "label!": absent = [] } = parsed;
  const early = untilTest(moments, nowMs);
  return ({ created, labels }) =>
    !isProtected(labels) &&
    early(created) &&
    matchesLabels(present, labels) &&
    !absent.some((label) => matchesLabels([label], labels));
}

/** A test for "made before", as the `until` filter says it. @throws Fault `invalid` for what is no time, or several. */
export function untilTest(
  moments: readonly string[] | undefined,
  nowMs: number,
): (created: string) => boolean {
  const [until, ...more] = moments ?? [];
  if (more.length > 0) throw new Fault("invalid", "more than one until filter specified");
  const untilMs = until === undefined ? Number.POSITIVE_INFINITY : moment(until, nowMs);
  return (created) => Date.parse(created) < untilMs;
}

/** A time, or how long ago. */
function moment(text: string, nowMs: number): number {
  const nanoseconds = text === "0" ? undefined : goDurationOrNone(text);
  if (nanoseconds !== undefined) return nowMs - nanoseconds / 1e6;
  return Number((parseUnixTime(text) ?? 0n) / 1_000_000n);
}
